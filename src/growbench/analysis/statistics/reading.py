"""Curves of loss over FLOPs, and how they are read: the loss at some FLOPs, and the FLOPs at which a loss is first reached.

Both readings go along a monotone cubic (Fritsch and Carlson, SIAM J. Numer. Anal. 17, 1980) in (log FLOPs, loss) through the
finished points. Straight lines lie above a curve that bends: read along them, a placebo lost 1.2 %. A curve that rises again
is replaced by its running best. Nothing is extrapolated. `fitted` is a second way to read the same points: it pools those that
rise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import isotonic_regression

from growbench.analysis.statistics.intervals import Floats
from growbench.errors import GrowBenchError

ROUNDING = 0.02  # whole steps: budgets of two methods that are this close, as a share, are the same budget
CLOSE = 2.0**-50  # where a cubic is solved, as a share of the interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One run's finished points, or several versions of them that differ in their losses alone.

    cost: FLOPs (or seconds), rising, shape (points,).
    loss: running best in nats, never rising, shape (versions, points).
    cubic: coefficients between neighboring points in log cost, highest power first, shape (4, points - 1, versions).
    """

    cost: Floats
    loss: Floats
    cubic: Floats

    @classmethod
    def of(cls, cost: Floats, loss: Floats, *, straight: bool = False) -> "Line":
        """Return the line of a run's points in any order; cost: shape (points,), loss: shape (versions, points).

        straight: whether it is straight between the points that none before is below, without the others.
        """
        order = np.argsort(cost, kind="stable")
        cost, loss = cost[order], loss[:, order]
        x = np.log(cost)
        best = np.minimum.accumulate(_lowest_alone(x, loss) if straight else loss, axis=1)
        between = _chords if straight else _cubics
        return cls(cost=cost, loss=best, cubic=between(x, best))

    def at(self, cost: float) -> Floats:
        """Return the losses at a cost, shape (versions,): the last ones beyond the end, infinite before the first point."""
        if cost < self.cost[0] * (1 - ROUNDING):
            return np.full(len(self.loss), np.inf)
        right = min(int(np.searchsorted(self.cost, cost)), len(self.cost) - 1)
        if right == 0 or cost >= self.cost[right]:
            return np.asarray(self.loss[:, right])
        found = _value(self.cubic[:, right - 1], np.log(cost / self.cost[right - 1]))
        return np.asarray(np.clip(found, self.loss[:, right], self.loss[:, right - 1]))

    def reach(self, loss: Floats) -> Floats:
        """Return the costs at which losses are first reached, shape (versions,); infinite where they are not.

        A version that is already below its loss at its first point has this point's cost; `early` says which.
        """
        reached = self.loss <= loss[:, None]
        right = reached.argmax(axis=1)
        found = np.where(reached.any(axis=1), self.cost[right], np.inf)
        inner = np.flatnonzero((right > 0) & (loss > self.loss[np.arange(len(loss)), right]))
        left = right[inner] - 1
        width = np.log(self.cost[left + 1] / self.cost[left])
        found[inner] = self.cost[left] * np.exp(_solved(self.cubic[:, left, inner], width, loss[inner]))
        return np.asarray(found)

    def early(self, loss: Floats) -> NDArray[np.bool_]:
        """Return where a loss is above that of the first point, so that `reach` is only an upper bound of the cost."""
        return np.asarray(self.loss[:, 0] < loss)


def _cubics(x: Floats, loss: Floats) -> Floats:
    """Return the coefficients of monotone cubics between points; points at one cost (before and after growth) are a jump."""
    found = _level(loss)
    jumps = np.flatnonzero(np.diff(x) == 0) + 1
    for start, end in pairwise([0, *jumps, len(x)]):
        if end - start > 1:
            found[:, start : end - 1] = PchipInterpolator(x[start:end], loss[:, start:end].T).c
    return found


def _level(loss: Floats) -> Floats:
    """Return the coefficients of curves that stay at the loss of the point before."""
    found = np.zeros((4, loss.shape[1] - 1, len(loss)))
    found[3] = loss[:, :-1].T
    return found


def _lowest_alone(x: Floats, loss: Floats) -> Floats:
    """Return losses, shape (versions, points), with those that are not the lowest so far moved onto the chord over them."""
    best, last = np.minimum.accumulate(loss, axis=1), len(x) - 1
    lowest = np.diff(best, axis=1, prepend=np.inf) < 0
    places = np.broadcast_to(np.arange(len(x)), loss.shape)
    left = np.maximum.accumulate(np.where(lowest, places, 0), axis=1)
    right = np.minimum.accumulate(np.where(lowest, places, last)[:, ::-1], axis=1)[:, ::-1]
    width = x[right] - x[left]
    share = np.divide(x - x[left], width, out=np.zeros_like(width), where=width > 0)
    before, after = np.take_along_axis(best, left, axis=1), np.take_along_axis(best, right, axis=1)
    return np.asarray((1 - share) * before + share * after)


def _chords(x: Floats, loss: Floats) -> Floats:
    """Return the same of straight lines."""
    found = _level(loss)
    width = np.diff(x)
    found[2, width > 0] = (np.diff(loss, axis=1).T)[width > 0] / width[width > 0, None]
    return found


def _value(cubic: Floats, x: Floats | float) -> Floats:
    return np.asarray(((cubic[0] * x + cubic[1]) * x + cubic[2]) * x + cubic[3])


def _solved(cubic: Floats, width: Floats, loss: Floats) -> Floats:
    """Return where falling cubics on [0, width] have a loss: by Newton's steps, halving the interval where those do not help."""
    low, high, x, step = np.zeros(len(width)), width, width / 2, width
    while (moving := np.abs(step) > CLOSE * width).any():
        above = _value(cubic, x) - loss
        low, high = np.where(above > 0, x, low), np.where(above > 0, high, x)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = x - above / ((3 * cubic[0] * x + 2 * cubic[1]) * x + cubic[2])
        helps = (newton >= low) & (newton <= high) & (np.abs(newton - x) <= np.abs(step) / 2)
        step = np.where(moving, np.where(helps, newton, (low + high) / 2) - x, 0.0)
        x = x + step
    return x


def joined(lines: Sequence[Line]) -> Line:
    """Return the line of several lines with equally many versions through those of their points that none before is below.

    It is straight between them: a cubic would level off at every point of one line. The other points are left out: a
    line that stayed at its running best until it passed them would fall only there.
    """
    cost, loss = np.concatenate([line.cost for line in lines]), np.concatenate([line.loss for line in lines], axis=1)
    return Line.of(cost, loss, straight=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """The best of several runs at every cost. lines: with equally many versions."""

    lines: Sequence[Line]

    @property
    def first(self) -> float:
        """Return the lowest cost at which there is a point."""
        return min(float(line.cost[0]) for line in self.lines)

    @property
    def last(self) -> float:
        """Return the highest cost at which there is a point."""
        return max(float(line.cost[-1]) for line in self.lines)

    def at(self, cost: float) -> Floats:
        """Return the lowest losses at a cost, as Line.at."""
        return np.asarray(np.min([line.at(cost) for line in self.lines], axis=0))

    def reach(self, loss: Floats) -> Floats:
        """Return the lowest costs at which losses are reached, as Line.reach."""
        return np.asarray(np.min([line.reach(loss) for line in self.lines], axis=0))

    def early(self, loss: Floats) -> NDArray[np.bool_]:
        """Return where a line that is among the first to begin is already below a loss at its first point, as Line.early."""
        first = [line for line in self.lines if line.cost[0] <= self.first * (1 + ROUNDING)]
        return np.asarray(np.any([line.early(loss) for line in first], axis=0))


def fitted(cost: Floats, loss: Floats) -> tuple[Floats, Floats]:
    """Return a monotone fit of one run's points, by rising cost: costs and losses, each shape (points,).

    Isotonic regression makes the losses fall with cost. It pools points that rise instead of trusting the lowest.
    """
    order = np.argsort(cost, kind="stable")
    return cost[order], isotonic_regression(loss[order], increasing=False).x


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """One method's measured points in all seeds.

    cost: FLOPs (or seconds), shape (seeds, points); not numbers if nobody knows what the source cost.
    loss: nats, shape (seeds, points).
    draws: the losses with the documents of the evaluation resampled, shape (seeds, resamples, points), the same resamples
        in all seeds and methods; None without the losses of single documents.
    documents: how many of them there are; 0 without.
    """

    cost: Floats
    loss: Floats
    draws: Floats | None = None
    documents: int = 0

    def __post_init__(self) -> None:
        if self.cost.shape != self.loss.shape or self.cost.ndim != 2 or not self.cost.size:
            raise GrowBenchError(f"curve: shapes {self.cost.shape} and {self.loss.shape}; give (seeds, points) to both")
        priced = np.isfinite(self.cost).all() or np.isnan(self.cost).all()
        if not (np.isfinite(self.loss).all() and priced and not (self.cost <= 0).any()):
            raise GrowBenchError("curve: a loss is not finite or a cost is not positive; check the run's record")

    def line(self, seed: int, drawn: bool = False) -> Line:
        """Return the line of a seed, by its place among the seeds; drawn: with one version for each resample of documents."""
        loss = self.loss[None, seed]
        if drawn:
            if self.draws is None:
                raise ValueError("this curve has no losses of single documents")
            loss = self.draws[seed]
        return Line.of(self.cost[seed], loss)

    def fit(self) -> "Curve":
        """Return the curve with a monotone fit in place of its running best; without resamples of documents."""
        if np.isnan(self.cost).any():
            return self
        runs = [fitted(cost, loss) for cost, loss in zip(self.cost, self.loss, strict=True)]
        return Curve(cost=np.stack([cost for cost, _ in runs]), loss=np.stack([loss for _, loss in runs]))

    def lowered(self, nats: float) -> "Curve":
        """Return the curve with this much less loss at every point; without resamples of documents."""
        return Curve(cost=self.cost, loss=self.loss - nats)


def running_median(loss: Floats) -> Floats:
    """Return the median of three neighbors along the last axis, ends unchanged, for curves logged during training."""
    if loss.shape[-1] < 3:
        return loss
    inner = np.median(np.stack([loss[..., :-2], loss[..., 1:-1], loss[..., 2:]]), axis=0)
    return np.concatenate([loss[..., :1], inner, loss[..., -1:]], axis=-1)
