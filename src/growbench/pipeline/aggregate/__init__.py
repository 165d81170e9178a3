"""growbench aggregate: the records of a study to its tables."""
