"""Savings of constructed curves whose crossing is known in closed form: loss = 10 - 0.25 log(F / cost)."""

import numpy as np
import pytest

from growbench.analysis.statistics.documents import resampled
from growbench.analysis.statistics.paired import estimate
from growbench.analysis.statistics.reading import Curve
from growbench.analysis.statistics.savings import (
    AT_FIRST,
    NOT_COMMON,
    NOT_REACHED,
    REACHED,
    goal,
    measure,
    measure_at,
    speedup,
)
from growbench.errors import GrowBenchError

FLOPS = np.array([0.25, 0.5, 0.75, 1.0]) * 1e14


def made(cost: float, shifts: tuple[float, ...] = (0.0,), source: float = 0.0) -> Curve:
    loss = 10 - 0.25 * np.log(FLOPS / cost)
    return Curve(cost=np.tile(FLOPS + source, (len(shifts), 1)), loss=np.stack([loss + s for s in shifts]))


def curve(cost: list[float], loss: list[float]) -> Curve:
    return Curve(cost=np.array([cost]), loss=np.array([loss]))


@pytest.mark.parametrize("cost", [0.3, 0.5, 0.62, 0.9, 1.0, 1.01, 1.6, 3.9])
def test_a_method_of_known_cost_saves_the_rest(cost: float) -> None:
    """A better method is read on its own curve, a worse one on the baseline's: both come out as they were put in."""
    found = measure(made(cost), made(1.0))
    assert found.status == REACHED and found.at == 1e14
    assert found.value == pytest.approx(1 - cost, abs=1e-12)


def test_scratch_against_itself_saves_exactly_nothing() -> None:
    assert measure(made(1.0), made(1.0)).value == 0.0


def test_not_reached_is_never_extrapolated() -> None:
    """The method ends above the baseline's first point, a quarter of the budget."""
    found = measure(made(4.1, (0.0, 0.0)), made(1.0, (0.0, 0.0)))
    assert found.value is None and found.status == NOT_REACHED and found.share_not_reached == 1
    assert found.interval.lo is None and found.interval.hi is None and found.p is None


def test_one_seed_that_does_not_reach_is_counted() -> None:
    found = measure(made(3.9, (0.0, 0.0, 0.1)), made(1.0, (0.0, 0.0, 0.0)))
    assert found.status == NOT_REACHED and found.share_not_reached == pytest.approx(1 / 3)


def test_below_at_the_first_point_is_a_lower_bound() -> None:
    found = measure(made(0.1, (0.0, 0.0)), made(1.0, (0.0, 0.0)))
    assert found.status == AT_FIRST and found.share_at_first == 1
    assert found.value == pytest.approx(0.75)
    assert found.interval.lo == pytest.approx(0.75) and found.interval.hi is None
    assert (found.p, found.detectable, found.level) == (None, None, None), "a bound has no test"


def test_source_cost_moves_the_total_saving_by_hand() -> None:
    """The curve is shifted by the source; cost 0.5 has its crossing on a point, so that the shift is exact."""
    found = measure(made(0.5, source=2e13), made(1.0))
    assert found.value == pytest.approx(1 - (0.5e14 + 2e13) / 1e14)


def test_an_expensive_source_makes_the_saving_negative() -> None:
    found = measure(made(0.5, source=8e13), made(1.0))
    assert found.value == pytest.approx(-0.3) and found.at == pytest.approx(1.3e14)
    assert speedup(found.value) == pytest.approx(1 / 1.3 - 1)


def test_a_method_that_ends_early_is_read_at_its_last_loss() -> None:
    scratch = curve([0.25e14, 0.5e14, 1e14], [3.0, 2.0, 1.0])
    assert measure(curve([0.2e14, 0.3e14], [3.0, 2.0]), scratch).value == pytest.approx(0.4)
    assert measure(curve([0.2e14, 0.3e14], [3.0, 1.0]), scratch).value == pytest.approx(0.7)


def test_order_of_the_points_does_not_matter() -> None:
    plain = made(0.5)
    turned = Curve(cost=plain.cost[:, ::-1], loss=plain.loss[:, ::-1])
    assert measure(turned, made(1.0)).value == pytest.approx(0.5)


def test_scratch_s_curve_is_a_running_best_as_well() -> None:
    """Scratch is best at 0.6 of its budget: that is what a method is measured against, and what its twin needs too."""
    scratch = curve([0.6, 1.0], [4.7, 4.9])
    assert goal(scratch) == (0.6, 4.7)
    assert (measure(scratch, scratch).value, measure(scratch, scratch).status) == (0.0, REACHED)
    assert measure(curve([0.3, 1.0], [4.7, 4.0]), scratch).value == pytest.approx(0.5)
    assert measure(curve([0.3, 1.0], [4.6, 4.0]), scratch).status == AT_FIRST
    assert measure(curve([0.6, 1.0], [4.8, 4.75]), scratch).status == NOT_REACHED


def test_a_point_is_measured_where_it_lies() -> None:
    found = measure_at(made(0.5), np.array([0.5e14]), made(1.0))
    assert found.value == pytest.approx(0.5) and found.at == 0.5e14
    rounded = curve([0.99e14, 2e14], [1.0, 0.5])
    assert measure_at(rounded, np.array([0.99e14]), curve([0.5e14, 0.98e14], [2.0, 1.0])).status == REACHED
    assert measure_at(made(0.5, source=2e13), np.array([1.2e14]), made(1.0)).status == NOT_COMMON


def test_the_frontier_is_the_best_model_of_any_size() -> None:
    """A small model is ahead until 4e13 FLOPs; the method needs 2e13 for what it has at 4e13, where scratch needs 5e13."""
    small = curve([1e13, 2e13, 4e13, 1e14], [5.0, 4.0, 3.5, 3.4])
    scratch = curve([1e13, 5e13, 1e14], [6.0, 4.0, 3.0])
    method = curve([3e13, 4e13], [4.5, 4.0])
    assert measure(method, scratch).value == pytest.approx(1 - 4 / 5)
    found = measure(method, scratch, small)
    assert found.value == pytest.approx(1 - 4 / 2) and found.at == 4e13
    late = curve([3e13, 1e14], [4.5, 3.0])
    assert measure(late, scratch, small).value == pytest.approx(0.0), "scratch is ahead at the end"


def test_the_frontier_does_not_start_over_at_each_model_s_first_point() -> None:
    """The small model's first point is far below the method, but the two models' points are joined."""
    small, scratch = curve([2e13, 1e14], [4.0, 3.9]), curve([1e13, 1e14], [6.0, 5.0])
    found = measure(curve([1e13, 1e14], [5.5, 5.0]), scratch, small)
    assert found.status == REACHED
    assert found.value == pytest.approx(1 - 10 / 2**0.5), (
        "half way in loss from scratch's first point to the small model's"
    )


def test_one_seed_has_a_value_and_no_interval() -> None:
    found = measure(made(0.5), made(1.0))
    assert found.n == 1 and found.value == pytest.approx(0.5)
    assert found.interval.lo is None and found.interval.hi is None
    assert (found.p, found.detectable, found.level) == (None, None, None)


def test_what_the_seeds_share_cancels_because_they_are_paired() -> None:
    shared = (0.0, 0.06, -0.05)
    found = measure(made(0.6, shared), made(1.0, shared))
    assert found.interval.lo == pytest.approx(0.4) and found.interval.hi == pytest.approx(0.4)


def test_seeds_that_differ_have_a_t_interval_in_log_cost() -> None:
    """A shift of 0.02 nats is a factor exp(0.08) of FLOPs; both curves are shifted, in opposite directions."""
    found = measure(made(0.6, (0.0, 0.02, -0.02)), made(1.0, (0.0, -0.02, 0.02)))
    half = 4.302653 * 0.16 / np.sqrt(3)
    assert found.value == pytest.approx(0.4)
    assert found.interval.lo == pytest.approx(1 - 0.6 * np.exp(half))
    assert found.interval.hi == pytest.approx(1 - 0.6 * np.exp(-half))


def documented(cost: float, effects: np.ndarray, shifts: tuple[float, ...] = (0.0, 0.0, 0.0)) -> Curve:
    """A curve of documents of 100 tokens whose losses differ from the law by `effects`, in all seeds; shifts: of the seeds."""
    law = 10 - 0.25 * np.log(FLOPS / cost)
    tokens = np.full(len(effects), 100)
    nats = [100 * (law[:, None] + effects + shift) for shift in shifts]
    loss = np.stack([one.sum(axis=1) / tokens.sum() for one in nats])
    draws = np.stack([resampled(tokens, one) for one in nats])
    return Curve(cost=np.tile(FLOPS, (len(shifts), 1)), loss=loss, draws=draws, documents=len(effects))


def test_documents_that_all_seeds_share_widen_the_second_interval_alone() -> None:
    """Equal seeds have a t interval of zero width, though 100 documents say little: their effects of SD 0.05 nats, a factor
    exp(0.2) of FLOPs each, leave 0.02."""
    effects = np.random.default_rng(0).normal(0, 0.05, 100)
    found = measure(documented(0.6, effects - effects.mean()), documented(1.0, np.zeros(100)))
    assert found.interval.lo == found.interval.hi == pytest.approx(0.4)
    assert found.multi.lo is not None and found.multi.hi is not None
    half = np.log((1 - found.multi.lo) / (1 - found.multi.hi)) / 2
    assert half == pytest.approx(1.984 * 4 * effects.std(ddof=1) / 10, rel=0.05)


@pytest.mark.parametrize(("cost", "shift", "narrower"), [(0.97, 0.001, False), (0.75, 0.02, True)])
def test_a_test_shows_only_what_both_intervals_show(cost: float, shift: float, narrower: bool) -> None:
    """The documents' degrees of freedom can make the second interval the narrower one."""
    effects = np.random.default_rng(0).normal(0, 0.1, 100)
    other = documented(1.0, np.zeros(100))
    found = measure(documented(cost, effects - effects.mean(), (0.0, shift, -shift)), other)
    plain = estimate(np.array(found.logs))
    lo, hi, multi_lo, multi_hi = found.interval.lo, found.interval.hi, found.multi.lo, found.multi.hi
    assert lo is not None and hi is not None and multi_lo is not None and multi_hi is not None
    assert (multi_hi - multi_lo < hi - lo) == narrower
    assert found.p is not None and (found.p == plain.p_value()) == narrower
    known = found.detectable, plain.detectable()
    assert known[0] is not None and known[1] is not None
    assert (known[0] == pytest.approx(-np.expm1(-known[1]))) == narrower
    assert (found.p < 0.05) == (min(lo, multi_lo) > 0)


def test_what_all_methods_share_of_a_document_cancels() -> None:
    """Some documents are hard for every model: that is no doubt about which is better."""
    hard = np.random.default_rng(1).normal(0, 1.0, 100)
    found = measure(documented(0.6, hard), documented(1.0, hard))
    assert found.multi.lo == pytest.approx(0.4, abs=1e-6) and found.multi.hi == pytest.approx(0.4, abs=1e-6)


def test_without_documents_of_every_curve_there_is_one_interval() -> None:
    found = measure(documented(0.6, np.zeros(30)), made(1.0, (0.0, 0.0, 0.0)))
    assert found.multi.lo is None and found.interval.lo is not None and found.p is not None


def test_level_with_scratch_is_within_two_percent_of_its_flops() -> None:
    assert measure(made(1.01, (0.0, 0.0, 0.0)), made(1.0, (0.0, 0.0, 0.0))).level is True
    assert measure(made(1.03, (0.0, 0.0, 0.0)), made(1.0, (0.0, 0.0, 0.0))).level is False
    assert measure(made(1.0, (0.0, 0.01, -0.01)), made(1.0, (0.0, 0.0, 0.0))).level is False, "too few seeds to say"


def test_a_saving_has_its_speedup() -> None:
    assert speedup(0.5) == pytest.approx(1.0) and speedup(None) is None


def test_unequal_seeds_are_refused() -> None:
    with pytest.raises(GrowBenchError, match="same seeds"):
        measure(made(0.5, (0.0, 0.0)), made(1.0))
