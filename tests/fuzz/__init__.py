"""Broken and hostile input for the command line, and ends at every operation on files (make fuzz)."""
