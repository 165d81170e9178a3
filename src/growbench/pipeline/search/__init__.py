"""The search for a method's learning rate and warm-up: which trials it takes, their runs, and what it chose."""
