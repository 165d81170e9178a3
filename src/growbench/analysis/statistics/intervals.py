"""Intervals at 95 %: the t interval of a mean over seeds, and percentile intervals of bootstrap draws.

The t interval of n normal values covers 95 % at any n of at least 2. A percentile bootstrap of three runs is about
their range and covers 75 % (81, 84, 86, 88 % with 4, 5, 6, 8 runs), so it is used for no mean. One run has no interval.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.95
DRAWS = 10_000

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A 95 % interval in the unit of the quantity; an end is None if it is absent (one run) or open (censored)."""

    lo: float | None = None
    hi: float | None = None


def percentile_interval(values: Floats) -> Interval:
    """Return the percentile interval of bootstrap draws, shape (draws,); its ends are draws."""
    tail = round((1 - LEVEL) / 2, 9)
    lo, hi = np.quantile(values, [tail, 1 - tail], method="inverted_cdf")
    return Interval(lo=float(lo), hi=float(hi))


def mean_interval(values: Floats) -> Interval:
    """Return the t interval of the mean of one value per run, shape (n,); empty for one run.

    For a difference between two methods, pass the paired differences: what the runs share cancels.
    """
    n = len(values)
    if n < 2:
        return Interval()
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(n)
    half = error * float(stats.t.ppf((1 + LEVEL) / 2, n - 1))
    return Interval(lo=mean - half, hi=mean + half)
