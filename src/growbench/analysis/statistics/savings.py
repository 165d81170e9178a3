"""How much compute a method saves against a baseline: 1 - exp(mean over seeds of log(F_method / F_baseline)) at equal loss.

Policy, for every table and figure:
- Take the lowest loss that both reach, seed by seed. F_method and F_baseline are what each has spent when it first gets there. So
  a method that ends below the baseline is read on its own curve, and one that ends above it on the baseline's; equal
  curves save 0, trading places changes the sign of the logarithm, and nothing is extrapolated. Wherever the method
  reaches the baseline's final loss, this is the definition of the papers.
- At a point, the same holds for what both have done by the FLOPs of the point: the worse of their two losses there.
- Curves are read as statistics/reading.py says. A baseline may be several curves: then it is the lower envelope of them
  and of the line through those of all their points that no cheaper one is below, so that it does not start over at the
  first point of each.
- "At first point": in a seed at least, the method's first finished point is already below that loss, so that it saves at
  least this much. "Not reached": the baseline's first point is already below the method's last loss, so that it
  saves less than can be read. "No common FLOPs": one of the two has no point at or before the given FLOPs, or has ended.
- Intervals: statistics/paired.py, over seeds that share data order and masks.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from growbench.analysis.statistics.intervals import Floats, Interval
from growbench.analysis.statistics.paired import Estimate, estimate, shared_error
from growbench.analysis.statistics.reading import ROUNDING, Curve, Envelope, Line, joined
from growbench.errors import GrowBenchError

REACHED = "reached"
NOT_REACHED = "not reached"
AT_FIRST = "at first point"
NOT_COMMON = "no common FLOPs"
NOT_PRICED = "source's cost unknown"
BASELINE = "baseline"
EXACT = 1e-12  # log ratios below this are rounding
MARGIN = math.log(1.02)  # of FLOPs: what counts as level


@dataclass(frozen=True, kw_only=True, slots=True)
class Saving:
    """What a method saves.

    value: share of the baseline's cost; None if not reached or without common FLOPs; a lower bound if the status is AT_FIRST.
    status: REACHED, AT_FIRST, NOT_REACHED or NOT_COMMON; the last of these that a seed has. NOT_PRICED: costs are not known.
    interval: 95 % t interval over seeds; its upper end is open (None) if the value is a lower bound.
    multi: the same over seeds x documents; empty without the losses of single documents.
    p: of no saving, two-sided. detectable: the smallest saving that this test would find with a probability of 0.8.
    level: whether the cost is shown to lie within 2 % of the baseline's. These three are the more cautious ones of the two
        intervals': both must show what they show. None for one seed, and if the value is a bound.
    share_not_reached, share_at_first: shares of the seeds in these two states.
    n: number of seeds.
    at: FLOPs by which both have reached the loss that they are compared at, mean over seeds; in `measure_at` the given ones.
    logs: log(F_method / F_baseline) of each seed, bounds included; empty if there is no value.
    """

    value: float | None
    status: str
    interval: Interval
    multi: Interval
    p: float | None
    detectable: float | None
    level: bool | None
    share_not_reached: float
    share_at_first: float
    n: int
    at: float | None
    logs: tuple[float, ...]


def measure(method: Curve, *baseline: Curve) -> Saving:
    """Return what `method` saves over all that was measured; row i of all curves must be the same seed.

    Raises GrowBenchError unless all curves have equally many seeds.
    """
    if not _priced(method, baseline):
        return _none(NOT_PRICED, len(method.loss), None, (0.0, 0.0))
    return _measured(method, baseline, [math.inf] * len(method.loss))


def measure_at(method: Curve, at: Floats, *baseline: Curve) -> Saving:
    """Return what `method` saves by these FLOPs of its seeds, shape (seeds,); as `measure`."""
    _check(method, baseline)
    n = len(method.loss)
    if not _priced(method, baseline):
        return _none(NOT_PRICED, n, None, (0.0, 0.0))
    places = [_common(float(at[i]), method.line(i), _envelope(baseline, i)) for i in range(n)]
    known = [cost for cost in places if cost is not None]
    if len(known) < n:
        return _none(NOT_COMMON, n, None, (0.0, 0.0))
    return replace(_measured(method, baseline, known), at=float(np.mean(known)))


def measure_loss(method: Curve, loss: float, *baseline: Curve) -> Saving:
    """Return what `method` saves at a loss (nats), the same in all seeds; as `measure`, without the losses of documents.

    NOT_REACHED: in a seed at least, the method does not reach it, or the baseline's first point is already below it.
    NOT_COMMON: the baseline does not reach it.
    """
    _check(method, baseline)
    n, level = len(method.loss), np.array([loss])
    if not _priced(method, baseline):
        return _none(NOT_PRICED, n, None, (0.0, 0.0))
    seeds = [_at_loss(method.line(i), _envelope(baseline, i), level) for i in range(n)]
    logs, early, late, spent = (np.array([float(seed[part][0]) for seed in seeds]) for part in range(4))
    missed = late.astype(bool) | ~(logs < np.inf)  # the method's own cost is infinite
    if missed.any():
        return _none(NOT_REACHED, n, None, (float(missed.mean()), float(early.mean())))
    if not np.isfinite(logs).all():
        return _none(NOT_COMMON, n, None, (0.0, 0.0))
    return _saving(logs, None, 0, bool(early.any()), (0.0, float(early.mean())), float(spent.mean()))


def _common(cost: float, line: Line, baseline: Envelope) -> float | None:
    """Return a cost moved into what both have, by no more than rounding to whole steps; None if that is not enough."""
    low, high = max(float(line.cost[0]), baseline.first), min(float(line.cost[-1]), baseline.last)
    if not low * (1 - ROUNDING) <= cost <= high * (1 + ROUNDING):
        return None
    return min(cost, high)


def _priced(method: Curve, baseline: Sequence[Curve]) -> bool:
    """Return whether all costs are known; those of a method are not if nobody knows what its source cost."""
    return not any(np.isnan(curve.cost).any() for curve in (method, *baseline))


def _check(method: Curve, baseline: Sequence[Curve]) -> None:
    n = len(method.loss)
    for other in baseline:
        if n != len(other.loss):
            raise GrowBenchError(
                f"savings: {n} runs against {len(other.loss)} of the baseline; run the same seeds for both"
            )


def _measured(method: Curve, baseline: Sequence[Curve], at: Sequence[float]) -> Saving:
    _check(method, baseline)
    seeds = [_ratio(method.line(i), _envelope(baseline, i), cost) for i, cost in enumerate(at)]
    logs, early, late, spent = (np.array([float(seed[part][0]) for seed in seeds]) for part in range(4))
    shares, middle = (float(late.mean()), float(early.mean())), float(spent.mean())
    if late.any():
        return _none(NOT_REACHED, len(at), middle, shares)
    error, documents = _documents_error(method, baseline, at)
    return _saving(logs, error, documents, bool(early.any()), shares, middle)


def _saving(
    logs: Floats, error: float | None, documents: int, bound: bool, shares: tuple[float, float], at: float
) -> Saving:
    plain = estimate(logs)
    multi = None if error is None else estimate(logs, error, documents)
    tests = [] if bound or plain.error is None else [found for found in (plain, multi) if found]
    detectable = _larger(found.detectable() for found in tests)
    return Saving(
        value=share(plain.mean),
        status=AT_FIRST if bound else REACHED,
        interval=_ends(plain, bound),
        multi=_ends(multi, bound) if multi else Interval(),
        p=_larger(found.p_value() for found in tests),
        detectable=None if detectable is None else share(-detectable),
        level=all(found.level_within(MARGIN) for found in tests) if tests else None,
        share_not_reached=shares[0],
        share_at_first=shares[1],
        n=len(logs),
        at=at,
        logs=tuple(map(float, logs)),
    )


def _larger(values: Iterable[float | None]) -> float | None:
    """Return the largest value; None without any."""
    return max((value for value in values if value is not None), default=None)


def _none(status: str, n: int, at: float | None, shares: tuple[float, float]) -> Saving:
    return Saving(
        value=None, status=status, interval=Interval(), multi=Interval(), p=None, detectable=None, level=None,
        share_not_reached=shares[0], share_at_first=shares[1], n=n, at=at, logs=(),
    )  # fmt: skip


def _ends(found: Estimate, bound: bool) -> Interval:
    ends = found.interval()
    if ends.lo is None or ends.hi is None:
        return Interval()
    return Interval(lo=share(ends.hi), hi=None if bound else share(ends.lo))


def _envelope(curves: Sequence[Curve], seed: int, drawn: bool = False) -> Envelope:
    lines = [curve.line(seed, drawn) for curve in curves]
    if len(lines) > 1:
        lines.append(joined(lines))
    return Envelope(lines=lines)


def _ratio(line: Line, baseline: Envelope, cost: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Return log(F_method / F_baseline) at the worse of the two losses at a cost, one per version, shape (versions,).

    The others say where the method's first point, and where the baseline's, is already below that loss, and what both
    together need: the larger of the two costs.
    """
    return _at_loss(line, baseline, np.maximum(line.at(cost), baseline.at(cost)))


def _at_loss(line: Line, baseline: Envelope, loss: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the same at given losses, shape (versions,); without a finite ratio where one of the two does not reach it."""
    own, other = line.reach(loss), baseline.reach(loss)
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log(own / other)
    logs[np.abs(logs) < EXACT] = 0.0
    early, late = line.early(loss).astype(np.float64), baseline.early(loss).astype(np.float64)
    return logs, early, late, np.maximum(own, other)


def _documents_error(method: Curve, baseline: Sequence[Curve], at: Sequence[float]) -> tuple[float | None, int]:
    """Return the error that the shared documents give, and how many there are; None unless all curves have them."""
    counts = {curve.documents if curve.draws is not None else 0 for curve in (method, *baseline)}
    if len(counts) > 1 or 0 in counts:
        return None, 0
    draws = [_ratio(method.line(i, True), _envelope(baseline, i, True), cost)[0] for i, cost in enumerate(at)]
    return shared_error(np.stack(draws, axis=1)), counts.pop()


def goal(baseline: Curve) -> tuple[float, float]:
    """Return what a baseline spends until the lowest loss of its mean over seeds, and this loss."""
    cost, loss = baseline.cost.mean(axis=0), baseline.loss.mean(axis=0)
    lowest = int(np.argmin(loss))
    return float(cost[lowest]), float(loss[lowest])


def share(log: float) -> float:
    """Return the saving of a log ratio of costs."""
    return -math.expm1(log) or 0.0


def speedup(saving: float | None) -> float | None:
    """Return F_scratch / F - 1 for a saving 1 - F / F_scratch; None stays None."""
    return None if saving is None else 1 / (1 - saving) - 1
