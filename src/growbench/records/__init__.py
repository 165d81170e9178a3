"""What a finished job leaves behind, and where everything of a study lies."""
