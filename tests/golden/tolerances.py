"""How far golden results may be off on another machine."""

WEIGHTS = 1e-6  # growth is computed in float64
CURVES = 1e-4  # losses after some steps, two of the curves in float32
