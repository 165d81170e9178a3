"""One entry per verb of the command line, which is one per rule of the workflow."""
