"""How much compute a method saves: 1 - F / F_scratch at scratch's lowest validation loss, as a rule its final one.

Policy, for every table and figure:
- The threshold is the lowest loss of scratch's finished points. F_scratch is what scratch spent to get there first.
- Both curves are judged alike, so equal curves save 0 whatever their shape.
- F is where the method's curve first comes down to the threshold. Curves are the mean over seeds of the finished points,
  interpolated linearly in (log FLOPs, loss) between neighbors.
- A curve that rises again is replaced by its running best, so the first crossing counts.
- Nothing is extrapolated. A curve that stays above the threshold is "not reached". A curve that is below it at its first
  finished point (not equal to it) saves "at least" 1 - F_first / F_scratch ("at first point").
- Savings may be negative, for example if the source's cost is counted.
- Intervals: the same seeds are resampled for the method and for scratch, and threshold and crossing are computed again.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from growbench.analysis.statistics.intervals import Floats, Interval, interval, resamples
from growbench.errors import GrowBenchError

REACHED = "reached"
NOT_REACHED = "not reached"
AT_FIRST = "at first point"
BASELINE = "baseline"


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """One method's measured points.

    cost: FLOPs (or seconds), shape (seeds, points).
    loss: nats, shape (seeds, points).
    """

    cost: Floats
    loss: Floats

    def __post_init__(self) -> None:
        if self.cost.shape != self.loss.shape or self.cost.ndim != 2 or not self.cost.size:
            raise GrowBenchError(f"curve: shapes {self.cost.shape} and {self.loss.shape}; give (seeds, points) to both")
        if not (np.isfinite(self.loss).all() and np.isfinite(self.cost).all() and (self.cost > 0).all()):
            raise GrowBenchError("curve: a loss is not finite or a cost is not positive; check the run's record")

    def mean(self, seeds: NDArray[np.intp] | slice = slice(None)) -> tuple[Floats, Floats]:
        """Return cost and loss, each shape (points,), averaged over `seeds` and sorted by cost."""
        cost, loss = self.cost[seeds].mean(axis=0), self.loss[seeds].mean(axis=0)
        order = np.argsort(cost, kind="stable")
        return cost[order], loss[order]


@dataclass(frozen=True, kw_only=True, slots=True)
class Saving:
    """What a method saves.

    value: share of scratch's cost; None if not reached, a lower bound if the status is AT_FIRST.
    status: REACHED, NOT_REACHED or AT_FIRST.
    interval: 95 %. Its lower end is open if too many resamples do not reach the threshold, its upper end if too many are
        below it at their first point.
    share_not_reached, share_at_first: shares of the resamples in these two states.
    n: number of seeds.
    """

    value: float | None
    status: str
    interval: Interval
    share_not_reached: float
    share_at_first: float
    n: int


def crossing(cost: Floats, loss: Floats, threshold: float) -> tuple[float | None, str]:
    """Return the cost at which a curve sorted by cost first reaches `threshold`, and the status (see the policy)."""
    best = np.minimum.accumulate(loss)
    below = np.flatnonzero(best <= threshold)
    if not below.size:
        return None, NOT_REACHED
    i = int(below[0])
    if i == 0:
        return float(cost[0]), REACHED if loss[0] == threshold else AT_FIRST
    share = (best[i - 1] - threshold) / (best[i - 1] - best[i])
    left, right = math.log(cost[i - 1]), math.log(cost[i])
    return float(cost[i]) if share == 1 else math.exp(left + share * (right - left)), REACHED


def goal(scratch: Curve, seeds: NDArray[np.intp] | slice = slice(None)) -> tuple[float, float]:
    """Return what scratch spends until its lowest loss, and this loss: the threshold."""
    cost, loss = scratch.mean(seeds)
    lowest = int(np.argmin(loss))
    return float(cost[lowest]), float(loss[lowest])


def _once(method: Curve, scratch: Curve, seeds: NDArray[np.intp] | slice) -> tuple[float | None, str]:
    full, threshold = goal(scratch, seeds)
    spent, status = crossing(*method.mean(seeds), threshold=threshold)
    return (None if spent is None else 1 - spent / full), status


def measure(method: Curve, scratch: Curve) -> Saving:
    """Return what `method` saves against `scratch`; row i of both curves must be the same seed."""
    n = len(method.loss)
    if n != len(scratch.loss):
        raise GrowBenchError(f"savings: {n} runs against {len(scratch.loss)} of scratch; run the same seeds for both")
    value, status = _once(method, scratch, slice(None))
    if n == 1:
        return Saving(
            value=value,
            status=status,
            interval=Interval(),
            share_not_reached=float(status == NOT_REACHED),
            share_at_first=float(status == AT_FIRST),
            n=n,
        )
    rows, counts = resamples(n)
    drawn = [_once(method, scratch, row) for row in rows]
    low = np.array([-math.inf if v is None else v for v, _ in drawn])
    high = np.array([math.inf if s == AT_FIRST else x for x, (_, s) in zip(low, drawn, strict=True)])
    share = {s: float(counts[[d == s for _, d in drawn]].sum() / counts.sum()) for s in (NOT_REACHED, AT_FIRST)}
    return Saving(
        value=value,
        status=status,
        interval=interval(low, high, counts),
        share_not_reached=share[NOT_REACHED],
        share_at_first=share[AT_FIRST],
        n=n,
    )


def speedup(saving: float | None) -> float | None:
    """Return F_scratch / F - 1 for a saving 1 - F / F_scratch; None stays None."""
    return None if saving is None else 1 / (1 - saving) - 1


def running_median(loss: Floats) -> Floats:
    """Return the median of three neighbors along the last axis, ends unchanged, for curves logged during training."""
    if loss.shape[-1] < 3:
        return loss
    inner = np.median(np.stack([loss[..., :-2], loss[..., 1:-1], loss[..., 2:]]), axis=0)
    return np.concatenate([loss[..., :1], inner, loss[..., -1:]], axis=-1)
