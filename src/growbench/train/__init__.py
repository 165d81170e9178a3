"""Model and batches in, steps out. Knows no study and no method."""

VERSION = 2  # raised when the losses of a run change: runs of an older version are trained again
