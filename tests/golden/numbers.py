"""A few numbers that stand for many, and whether two of them agree."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

DIGITS = 8
GOLDEN_RATIO = (1 + 5**0.5) / 2


def of(tensors: Iterable[Tensor]) -> list[float]:
    """Return the mean, the RMS, and the projection on a fixed direction of all values, in order, in float64."""
    values = torch.cat([tensor.detach().double().reshape(-1) for tensor in tensors]).numpy()
    direction = np.cos(np.arange(len(values)) * GOLDEN_RATIO)
    found = (values.mean(), math.sqrt((values**2).mean()), (values * direction).sum() / math.sqrt(len(values)))
    return [rounded(float(value)) for value in found]


def rounded(value: float) -> float:
    """Return a number with as many digits as are kept."""
    return float(f"{value:.{DIGITS}g}")


def agree(old: Any, new: Any, tolerance: float) -> bool:
    """Return whether two values agree: numbers within a share of the largest of their list, all else exactly."""
    if not isinstance(old, list) or not isinstance(new, list) or len(old) != len(new):
        return bool(old == new)
    if not all(isinstance(value, float | int) for value in [*old, *new]):
        return old == new
    scale = max((abs(value) for value in old), default=0.0)
    return all(abs(a - b) <= tolerance * scale for a, b in zip(old, new, strict=True))
