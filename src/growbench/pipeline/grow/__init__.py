"""Hugging Face directories: read tensor by tensor, grown, and written whole with a report of what growing did."""
