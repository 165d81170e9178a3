"""The engine: it applies any method's maps to any family's roles."""
