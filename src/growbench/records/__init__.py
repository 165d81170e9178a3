"""What a finished job leaves behind, and where."""
