"""The engine: any method's maps applied to any family's roles."""
