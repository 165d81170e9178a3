"""Model and batches in, steps out. Knows no study and no method."""
