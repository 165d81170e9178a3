"""Files, locks, signals, processes and memory."""
