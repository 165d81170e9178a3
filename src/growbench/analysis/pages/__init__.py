"""Data frames to Markdown and HTML."""
