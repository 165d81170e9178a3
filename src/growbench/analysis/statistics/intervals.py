"""Bootstrap intervals: runs (seeds) are resampled, and the quantity of interest is computed again each time.

Intervals are percentile intervals at 95 %. Up to EXACT runs, all n^n resamples are enumerated, so the interval is that of
the exact bootstrap distribution and needs no random numbers. Above that, DRAWS resamples come from a fixed seed. With
three runs, the interval is about the range of the runs: it shows what was seen, but is too narrow as a confidence
statement. One run has no interval.
"""

import itertools
import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
DRAWS = 10_000
EXACT = 5

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A 95 % interval in the unit of the quantity; an end is None if it is absent (one run) or open (censored)."""

    lo: float | None = None
    hi: float | None = None


@cache
def resamples(n: int, seed: int = 0) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return distinct resamples of n runs, shape (k, n), and how often each occurs, shape (k,).

    The order within a resample does not matter, so equal multisets are computed once.
    """
    if n <= EXACT:
        rows = np.array(list(itertools.product(range(n), repeat=n)), dtype=np.intp)
    else:
        rows = np.random.default_rng(seed).integers(0, n, size=(DRAWS, n), dtype=np.intp)
    unique, counts = np.unique(np.sort(rows, axis=1), axis=0, return_counts=True)
    return unique, counts


def percentile(values: Floats, counts: NDArray[np.intp], share: float) -> float:
    """Return the smallest value with at least `share` of the weighted values at or below it (infinities allowed)."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(counts[order])
    index = int(np.searchsorted(total, math.ceil(share * int(total[-1]) - 1e-9)))
    return float(values[order][index])


def interval(low: Floats, high: Floats, counts: NDArray[np.intp]) -> Interval:
    """Return the percentile interval; `low` and `high` hold each resample's value, or its bounds if it is censored.

    An end that falls on an infinite bound is open: None.
    """
    tail = (1 - LEVEL) / 2
    lo, hi = percentile(low, counts, tail), percentile(high, counts, 1 - tail)
    return Interval(lo=lo if math.isfinite(lo) else None, hi=hi if math.isfinite(hi) else None)


def mean_interval(values: Floats) -> Interval:
    """Return the interval of the mean of one value per run, shape (n,); empty for one run.

    For a difference between two methods, pass the paired differences: then the same runs are resampled in both.
    """
    if len(values) < 2:
        return Interval()
    rows, counts = resamples(len(values))
    means = np.asarray(values, dtype=np.float64)[rows].mean(axis=1)
    return interval(means, means, counts)
