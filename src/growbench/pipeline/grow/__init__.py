"""Grow Hugging Face directories: read and grow one tensor at a time, publish the result at once, with a report."""
