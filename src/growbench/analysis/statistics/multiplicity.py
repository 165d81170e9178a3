"""Many methods at once: Holm's correction of p values, and the model confidence set.

Holm (Scandinavian Journal of Statistics 6, 1979) keeps the chance of one wrong claim among all at 5 %. The model confidence
set (Hansen, Lunde and Nason, Econometrica 79, 2011) holds the best method with a probability of 95 %: methods leave it, the
worst first, as long as T_max, the largest t value of a method against the mean of those that remain, is above what
methods of equal merit would give. A bootstrap of three seeds can not give that distribution, so it is simulated: values
of equal normal spread, paired by seed, for the same numbers of seeds and methods.
"""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

from growbench.analysis.statistics.intervals import LEVEL, Floats

SIMULATED = 20_000
SMALLEST = 1e-12  # spreads below this are rounding


def holm(values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Return the corrected p values by name. None stays None and does not count."""
    known = sorted((p, name) for name, p in values.items() if p is not None)
    corrected: dict[str, float | None] = dict.fromkeys(values)
    highest = 0.0
    for rank, (p, name) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        corrected[name] = highest
    return corrected


def confidence_set(names: Sequence[str], values: Floats) -> dict[str, bool]:
    """Return by name whether a method is in the model confidence set; lower values are better.

    values: one per seed and method, shape (seeds, methods), the seeds paired. With one seed nothing is known: all are in.
    """
    left = list(range(len(names)))
    while len(left) > 1 and len(values) > 1:
        t = _t_values(values[None, :, left])[0]
        if t.max() <= _critical(len(values), len(left)):
            break
        left.pop(int(t.argmax()))
    return {name: place in left for place, name in enumerate(names)}


def _t_values(values: Floats) -> Floats:
    """Return the t value of each method against the mean of all; values: shape (draws, seeds, methods), result (draws, methods)."""
    off = values - values.mean(axis=2, keepdims=True)
    error = np.sqrt(off.var(axis=1, ddof=1) / values.shape[1])
    mean = off.mean(axis=1)
    exact = np.where(np.abs(mean) < SMALLEST, 0.0, np.where(mean > 0, np.inf, -np.inf))
    return np.asarray(np.where(error < SMALLEST, exact, mean / np.maximum(error, SMALLEST)))


@cache
def _critical(seeds: int, methods: int) -> float:
    """Return what T_max stays below with a probability of 95 % if all methods are equal."""
    draws = np.random.default_rng(0).standard_normal((SIMULATED, seeds, methods))
    return float(np.quantile(_t_values(draws).max(axis=1), LEVEL))
