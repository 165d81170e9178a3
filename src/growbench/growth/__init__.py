"""The engine: it applies any method's maps to any family's roles."""

VERSION = 1  # raised when grown weights, maps, masks or moments change: runs of an older version are trained again
