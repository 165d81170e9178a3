"""growbench pretrain: one run from data to finished points."""
