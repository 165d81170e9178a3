"""growbench zeroshot: perplexity and last words without fine-tuning."""
