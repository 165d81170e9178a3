"""Means over a few paired seeds: t intervals, the documents that all seeds share, tests, and what could be detected.

A value is one number per seed, such as log(F / F_scratch) of runs that share data order and masks. Its mean has two
sources of error: the seeds, whose variance is s^2 / n with n - 1 degrees of freedom, and the documents of the evaluation,
which are the same in all seeds, so that more seeds do not average their error away. The second is found by resampling
documents (a multi-bootstrap over seeds x documents, as Sellam et al., ICLR 2022, with the seeds' part in closed form,
because resampling three seeds covers 75 %).

The interval of the sum lies half way between two. With Satterthwaite's degrees of freedom (Biometrics 2, 1946) it covers 92 % with
three seeds, where the documents' error is about a third of the seeds'. With the two t half-widths added as squares, it covers
up to 98 %. Half way it is 94 to 97 %, whatever the share of the documents (simulated with 3, 5 and 8 seeds).
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import optimize, stats

from growbench.analysis.statistics.intervals import LEVEL, Floats, Interval

POWER = 0.8
SMALLEST = 1e-12  # standard errors below this are rounding


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A mean with its standard error.

    mean, error: in the unit of the values; error is None for one seed.
    freedom: degrees of freedom of the error.
    n: number of seeds.
    """

    mean: float
    error: float | None
    freedom: float
    n: int

    def interval(self, level: float = LEVEL) -> Interval:
        """Return the t interval; empty for one seed."""
        if self.error is None:
            return Interval()
        half = self.error * float(stats.t.ppf((1 + level) / 2, self.freedom))
        return Interval(lo=self.mean - half, hi=self.mean + half)

    def p_value(self) -> float | None:
        """Return the two-sided p value of a mean of 0; None for one seed."""
        if self.error is None:
            return None
        if self.error < SMALLEST:
            return float(abs(self.mean) < SMALLEST)
        return float(2 * stats.t.sf(abs(self.mean) / self.error, self.freedom))

    def detectable(self, power: float = POWER) -> float | None:
        """Return the size of a mean that the test of a mean of 0 finds with this probability; None for one seed."""
        if self.error is None:
            return None
        return self.error * _shift(self.freedom, power)

    def level_within(self, margin: float) -> bool | None:
        """Return whether the mean is shown to lie within +-margin, by two one-sided tests at 5 % (TOST); None for one seed."""
        ends = self.interval(1 - 2 * (1 - LEVEL))
        if ends.lo is None or ends.hi is None:
            return None
        return -margin < ends.lo and ends.hi < margin


@cache
def _shift(freedom: float, power: float) -> float:
    """Return the mean in standard errors that a two-sided t test at 5 % finds with this probability (noncentral t)."""
    bound = _bound(freedom)

    def missing(shift: float) -> float:
        above, below = stats.nct.sf(bound, freedom, shift), stats.nct.cdf(-bound, freedom, shift)
        return float(above + np.nan_to_num(below)) - power

    top = bound
    while missing(top) < 0:
        top *= 2
    return float(optimize.brentq(missing, 0, top))


def estimate(values: Floats, documents_error: float = 0.0, documents: int = 0) -> Estimate:
    """Return the mean of one value per seed, shape (n,).

    documents_error: standard error that all seeds share because they are evaluated on the same documents. documents: how
    many there are, which is where its degrees of freedom come from.
    """
    n = len(values)
    if n < 2:
        return Estimate(mean=float(np.mean(values)), error=None, freedom=0.0, n=n)
    of_seeds, of_documents = float(np.var(values, ddof=1)) / n, documents_error**2
    total = of_seeds + of_documents
    freedom = float(n - 1)
    if total > SMALLEST**2 and of_documents:
        freedom = _freedom(of_seeds / total, freedom, max(documents - 1.0, 1.0))
    return Estimate(mean=float(np.mean(values)), error=math.sqrt(total), freedom=freedom, n=n)


def _freedom(share: float, first: float, second: float) -> float:
    """Return the degrees of freedom of the sum of two errors, whose 95 % point is half way between those of two rules.

    share: of the first in the variance. first, second: degrees of freedom of the two.
    """
    satterthwaite = 1 / (share**2 / first + (1 - share) ** 2 / second)
    squares = math.sqrt(share * _bound(first) ** 2 + (1 - share) * _bound(second) ** 2)
    wanted = (_bound(satterthwaite) + squares) / 2
    low, high = min(first, second), first + second + 1
    return float(optimize.brentq(lambda freedom: _bound(freedom) - wanted, low, high))


def _bound(freedom: float) -> float:
    return float(stats.t.ppf((1 + LEVEL) / 2, freedom))


def shared_error(draws: Floats) -> float:
    """Return the standard error that documents give to the mean over seeds.

    draws: the value of each seed in each resample of the documents, shape (resamples, seeds), the same resamples in all seeds. It is
    the root of the mean covariance of two seeds over the resamples. What documents add to a single seed is left out: it is
    already in the spread of the seeds.
    """
    seeds = draws.shape[1]
    if seeds < 2:
        return 0.0
    covariance = np.cov(draws, rowvar=False)
    return math.sqrt(max(0.0, float(covariance[~np.eye(seeds, dtype=bool)].mean())))
