"""Learned operators: maps whose factors are trained on text while the source is frozen (docs/METHODS.md)."""
