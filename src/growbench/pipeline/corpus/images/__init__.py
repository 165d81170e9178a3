"""Images in the place of text: found, decoded once, and read from memory-mapped arrays."""
