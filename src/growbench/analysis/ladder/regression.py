"""A straight line through a few points, with the t interval of its slope and its prediction band."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from growbench.analysis.statistics.intervals import LEVEL, Floats, Interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """y = intercept + slope x by least squares.

    error: standard deviation of the residuals; None for two points. center, spread: mean of x, and its sum of squares.
    n: number of points.
    """

    slope: float
    intercept: float
    error: float | None
    center: float
    spread: float
    n: int

    @property
    def interval(self) -> Interval:
        """Return the 95 % t interval of the slope; empty for two points."""
        if self.error is None:
            return Interval()
        half = self._bound() * self.error / np.sqrt(self.spread)
        return Interval(lo=float(self.slope - half), hi=float(self.slope + half))

    def at(self, x: Floats) -> Floats:
        """Return the line at some places."""
        return np.asarray(self.intercept + self.slope * x)

    def band(self, x: Floats) -> tuple[Floats, Floats] | None:
        """Return the ends of the 95 % prediction interval of a new point at some places; None for two points."""
        if self.error is None:
            return None
        half = self._bound() * self.error * np.sqrt(1 + 1 / self.n + (x - self.center) ** 2 / self.spread)
        return self.at(x) - half, self.at(x) + half

    def _bound(self) -> float:
        return float(stats.t.ppf((1 + LEVEL) / 2, self.n - 2))


def fit(x: Floats, y: Floats) -> Fit:
    """Return the line through at least two points with different x."""
    center, n = float(np.mean(x)), len(x)
    spread = float(np.sum((x - center) ** 2))
    slope = float(np.sum((x - center) * y) / spread)
    intercept = float(np.mean(y)) - slope * center
    rest = y - intercept - slope * x
    error = float(np.sqrt(np.sum(rest**2) / (n - 2))) if n > 2 else None
    return Fit(slope=slope, intercept=intercept, error=error, center=center, spread=spread, n=n)
