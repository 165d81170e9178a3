"""Ways to train something other than the whole stock model."""
