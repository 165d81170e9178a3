"""Savings of constructed curves whose crossing is known in closed form: loss = 10 - 0.25 log(F / cost)."""

import numpy as np
import pytest

from growbench.analysis.statistics.savings import (
    AT_FIRST,
    NOT_REACHED,
    REACHED,
    Curve,
    crossing,
    goal,
    measure,
    running_median,
    speedup,
)
from growbench.errors import GrowBenchError

FLOPS = np.array([0.25, 0.5, 0.75, 1.0]) * 1e14


def made(cost: float, shifts: tuple[float, ...] = (0.0,), source: float = 0.0) -> Curve:
    loss = 10 - 0.25 * np.log(FLOPS / cost)
    return Curve(cost=np.tile(FLOPS + source, (len(shifts), 1)), loss=np.stack([loss + s for s in shifts]))


@pytest.mark.parametrize("cost", [0.3, 0.5, 0.62, 0.9, 1.0])
def test_a_method_of_known_cost_saves_the_rest(cost: float) -> None:
    found = measure(made(cost), made(1.0))
    assert found.status == REACHED
    assert found.value == pytest.approx(1 - cost, abs=1e-12)


def test_scratch_against_itself_saves_exactly_nothing() -> None:
    assert measure(made(1.0), made(1.0)).value == 0.0


def test_not_reached_is_never_extrapolated() -> None:
    found = measure(made(1.01, (0.0, 0.0)), made(1.0, (0.0, 0.0)))
    assert found.value is None and found.status == NOT_REACHED and found.share_not_reached == 1
    assert found.interval.lo is None and found.interval.hi is None


def test_below_at_the_first_point_is_a_lower_bound() -> None:
    found = measure(made(0.1, (0.0, 0.0)), made(1.0, (0.0, 0.0)))
    assert found.status == AT_FIRST and found.share_at_first == 1
    assert found.value == pytest.approx(0.75)
    assert found.interval.lo == pytest.approx(0.75) and found.interval.hi is None


def test_source_cost_moves_the_total_saving_by_hand() -> None:
    """The curve is shifted by the source; cost 0.5 has its crossing on a point, so that the shift is exact."""
    found = measure(made(0.5, source=2e13), made(1.0))
    assert found.value == pytest.approx(1 - (0.5e14 + 2e13) / 1e14)


def test_an_expensive_source_makes_the_saving_negative() -> None:
    found = measure(made(0.5, source=8e13), made(1.0))
    assert found.value == pytest.approx(-0.3)
    assert speedup(found.value) == pytest.approx(1 / 1.3 - 1)


def test_a_curve_that_rises_counts_its_first_crossing() -> None:
    cost, loss = np.array([1.0, 2.0, 4.0, 8.0]), np.array([3.0, 2.0, 2.6, 1.5])
    assert crossing(cost, loss, 2.5) == (pytest.approx(2**0.5), REACHED)
    assert crossing(cost, loss, 2.0) == (2.0, REACHED)
    found, status = crossing(cost, loss, 1.75)
    assert status == REACHED and found == pytest.approx(4 * 2**0.5), "from the running best 2.0 at 4 to 1.5 at 8"


def test_order_of_the_points_does_not_matter() -> None:
    curve = made(0.5)
    turned = Curve(cost=curve.cost[:, ::-1], loss=curve.loss[:, ::-1])
    assert measure(turned, made(1.0)).value == pytest.approx(0.5)


def test_scratch_s_curve_is_a_running_best_as_well() -> None:
    """Scratch is best at 0.6 of its budget: that is what a method is measured against, and what its twin needs too."""
    scratch = Curve(cost=np.array([[0.6, 1.0]]), loss=np.array([[4.7, 4.9]]))
    assert goal(scratch) == (0.6, 4.7)
    assert (measure(scratch, scratch).value, measure(scratch, scratch).status) == (0.0, REACHED)
    better = Curve(cost=np.array([[0.3, 1.0]]), loss=np.array([[4.7, 4.0]]))
    assert measure(better, scratch).value == pytest.approx(0.5)
    below = Curve(cost=np.array([[0.3, 1.0]]), loss=np.array([[4.6, 4.0]]))
    assert measure(below, scratch).status == AT_FIRST
    worse = Curve(cost=np.array([[0.6, 1.0]]), loss=np.array([[4.8, 4.75]]))
    assert measure(worse, scratch).status == NOT_REACHED


def test_one_seed_has_a_value_and_no_interval() -> None:
    found = measure(made(0.5), made(1.0))
    assert found.n == 1 and found.interval.lo is None and found.interval.hi is None


def test_equal_seeds_give_an_interval_of_zero_width() -> None:
    found = measure(made(0.6, (0.0,) * 3), made(1.0, (0.0,) * 3))
    assert found.interval.lo == pytest.approx(0.4) and found.interval.hi == pytest.approx(0.4)


def test_what_the_seeds_share_cancels_because_they_are_paired() -> None:
    shared = (0.0, 0.06, -0.05)
    found = measure(made(0.6, shared), made(1.0, shared))
    assert found.interval.lo == pytest.approx(0.4) and found.interval.hi == pytest.approx(0.4)


def test_seeds_that_differ_widen_the_interval_around_the_value() -> None:
    found = measure(made(0.6, (0.0, 0.02, -0.02)), made(1.0, (0.0, -0.02, 0.02)))
    low, high = found.interval.lo, found.interval.hi
    assert low is not None and high is not None and found.value is not None
    assert low == pytest.approx(1 - 0.6 * np.exp(0.16)) and high == pytest.approx(1 - 0.6 * np.exp(-0.16))
    assert low < found.value < high


def test_share_of_resamples_that_do_not_reach_is_reported() -> None:
    """Seed 1 alone is not reached; of the four resamples of two seeds one is seed 1 twice."""
    found = measure(made(0.9, (0.0, 0.04)), made(1.0, (0.0, 0.0)))
    assert found.status == REACHED and found.share_not_reached == 0.25
    assert found.interval.lo is None and found.interval.hi == pytest.approx(0.1)


def test_a_saving_has_its_speedup() -> None:
    assert speedup(0.5) == pytest.approx(1.0) and speedup(None) is None


def test_running_median_drops_a_spike_and_keeps_the_ends() -> None:
    assert running_median(np.array([[5.0, 4.0, 9.0, 3.0, 2.0]])).tolist() == [[5.0, 5.0, 4.0, 3.0, 2.0]]
    assert running_median(np.array([[5.0, 4.0]])).tolist() == [[5.0, 4.0]]


def test_invalid_curves_are_refused() -> None:
    with pytest.raises(GrowBenchError, match="not finite"):
        Curve(cost=np.ones((1, 2)), loss=np.array([[1.0, np.nan]]))
    with pytest.raises(GrowBenchError, match="same seeds"):
        measure(made(0.5, (0.0, 0.0)), made(1.0))
