"""What several studies say together: the rungs of a ladder, from their tables."""
