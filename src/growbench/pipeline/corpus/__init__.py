"""growbench corpus: text to token files."""
