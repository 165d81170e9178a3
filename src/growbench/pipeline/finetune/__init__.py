"""growbench finetune: finished points to scores."""
