"""Reading curves: the loss at some FLOPs, the FLOPs of a loss, envelopes, and the monotone fit."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from growbench.analysis.statistics.reading import Curve, Envelope, Line, fitted, joined, running_median
from growbench.errors import GrowBenchError

LOSS = st.floats(0.5, 9).map(lambda value: round(value, 2))


@st.composite
def runs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Any run: rising costs, losses as they come, ties and rises included."""
    n = draw(st.integers(1, 8))
    steps = draw(arrays(np.float64, n, elements=st.floats(0.1, 5)))
    return 1e12 * np.cumsum(steps), draw(arrays(np.float64, n, elements=LOSS))


def line(cost: np.ndarray, loss: np.ndarray) -> Line:
    return Line.of(cost, loss[None])


def test_two_points_alone_are_joined_by_a_straight_line_in_log_cost() -> None:
    made = line(np.array([1.0, 4.0]), np.array([3.0, 1.0]))
    assert made.at(2.0)[0] == pytest.approx(2.0) and made.reach(np.array([2.0]))[0] == pytest.approx(2.0)


def test_nothing_is_extrapolated() -> None:
    made = line(np.array([1.0, 4.0]), np.array([3.0, 1.0]))
    assert made.at(0.9)[0] == np.inf and made.at(100.0)[0] == 1.0
    assert made.reach(np.array([0.99]))[0] == np.inf
    assert made.reach(np.array([5.0]))[0] == 1.0 and made.early(np.array([5.0]))[0]
    assert not made.early(np.array([3.0]))[0], "equal to the first point is measured there"


def test_a_curve_that_rises_counts_its_first_crossing() -> None:
    made = line(np.array([1.0, 2.0, 4.0, 8.0]), np.array([3.0, 2.0, 2.6, 1.5]))
    assert made.reach(np.array([2.0]))[0] == 2.0 and 1 < made.reach(np.array([2.5]))[0] < 2
    assert 4 < made.reach(np.array([1.75]))[0] < 8, "from the running best 2.0 at 4 to 1.5 at 8"
    assert made.at(3.0)[0] == 2.0


@given(runs(), LOSS)
def test_the_crossing_is_the_first(run: tuple[np.ndarray, np.ndarray], threshold: float) -> None:
    cost, loss = run
    found = float(line(cost, loss).reach(np.array([threshold]))[0])
    below = np.flatnonzero(loss <= threshold)
    if not below.size:
        assert found == np.inf
        return
    first = int(below[0])
    assert found <= cost[first] * (1 + 1e-12) and (first == 0 or found >= cost[first - 1])


@given(runs(), st.floats(0, 1))
def test_the_two_readings_are_inverse(run: tuple[np.ndarray, np.ndarray], share: float) -> None:
    cost, loss = run
    made = line(cost, loss)
    there = float(cost[0] ** (1 - share) * cost[-1] ** share)
    value = made.at(there)
    assume(np.isfinite(value[0]))
    back = float(made.reach(value)[0])
    assert back <= there * (1 + 1e-6), "a flat part is reached at its beginning"
    assert made.at(back)[0] == pytest.approx(value[0], abs=1e-9)


@given(runs(), runs(), st.floats(1e11, 5e13))
def test_an_envelope_is_the_better_one_at_every_cost(
    one: tuple[np.ndarray, np.ndarray], two: tuple[np.ndarray, np.ndarray], cost: float
) -> None:
    lines = [line(*one), line(*two)]
    envelope = Envelope(lines=lines)
    assert envelope.at(cost)[0] == min(float(made.at(cost)[0]) for made in lines)
    assert envelope.first == min(one[0][0], two[0][0]) and envelope.last == max(one[0][-1], two[0][-1])


def test_versions_are_read_one_by_one() -> None:
    cost = np.array([1.0, 2.0, 4.0])
    losses = np.array([[3.0, 2.0, 1.0], [3.0, 2.5, 2.4], [1.0, 0.9, 0.8]])
    made, wanted = Line.of(cost, losses), np.array([2.0, 2.2, 2.0])
    assert list(made.reach(wanted)) == [
        float(line(cost, one).reach(np.array([w]))[0]) for one, w in zip(losses, wanted, strict=True)
    ]
    assert list(made.at(3.0)) == [float(line(cost, one).at(3.0)[0]) for one in losses]
    assert list(made.early(wanted)) == [False, False, True]


def test_joined_points_do_not_start_over() -> None:
    big, small = line(np.array([1.0, 4.0]), np.array([5.0, 4.0])), line(np.array([2.0, 8.0]), np.array([3.0, 2.0]))
    both = joined([big, small])
    assert both.reach(np.array([4.0]))[0] == pytest.approx(2**0.5), "half way from the first point to the small model"


def test_joined_points_that_lie_above_another_line_do_not_bend_it() -> None:
    low, high = np.array([3.0, 2.5, 2.2]), np.array([4.0, 3.5, 3.2])
    small, big = line(np.array([1.0, 4.0, 16.0]), low), line(np.array([1.1, 4.4, 17.6]), high)
    both = joined([small, big])
    for cost in (1.5, 2.5, 3.5, 6.0, 9.0, 14.0):
        assert both.at(cost)[0] >= small.at(cost)[0]


def test_joined_points_do_not_stay_level_until_they_pass_a_worse_model() -> None:
    """The big model's point just before the small one's second is above its first; the small model's two are joined."""
    small, big = line(np.array([1.0, 4.0]), np.array([3.0, 2.0])), line(np.array([3.99, 16.0]), np.array([3.5, 1.0]))
    both = joined([small, big])
    assert both.reach(np.array([2.5]))[0] == pytest.approx(2.0)
    assert both.at(8.0)[0] == pytest.approx(1.5), "from the small model to the big one, which is ahead at the end"


def test_joined_points_are_left_out_in_one_version_and_not_in_another() -> None:
    small = Line.of(np.array([1.0, 4.0]), np.array([[3.0, 2.0], [3.0, 2.0]]))
    big = Line.of(np.array([2.0, 16.0]), np.array([[3.2, 2.5], [2.2, 1.0]]))
    both = joined([small, big])
    assert list(both.at(2.0)) == pytest.approx([2.5, 2.2])
    assert list(both.at(8.0)) == pytest.approx([2.0, 1.5]), "after the last that is lowest, it stays there"


def test_a_better_model_whose_first_point_costs_a_step_more_is_there_at_the_first_cost() -> None:
    """Whole steps set its first cost, so what lies between the two first points is no reading."""
    big = line(np.array([1.0, 4.0]), np.array([5.0, 4.0]))
    for cost, early in ((1.002, True), (1.5, False)):
        small = line(np.array([cost, 8.0]), np.array([4.5, 3.0]))
        envelope = Envelope(lines=[big, small, joined([big, small])])
        assert envelope.early(np.array([4.7]))[0] == early
        assert not envelope.early(np.array([4.2]))[0]


@given(runs())
def test_a_fit_falls_and_keeps_falling_points(run: tuple[np.ndarray, np.ndarray]) -> None:
    cost, loss = run
    x, y = fitted(cost, loss)
    assert (np.diff(y) <= 0).all() and list(x) == list(cost)
    falling = np.sort(loss)[::-1]
    assert list(fitted(cost, falling)[1]) == pytest.approx(list(falling), abs=1e-12)


@given(runs(), st.floats(0, 1))
def test_between_two_points_it_stays_between_their_losses(run: tuple[np.ndarray, np.ndarray], share: float) -> None:
    cost, loss = run
    best = np.minimum.accumulate(loss)
    for i in range(len(cost) - 1):
        found = float(line(cost, loss).at(float(cost[i] ** (1 - share) * cost[i + 1] ** share))[0])
        assert best[i + 1] <= found <= best[i]


def law(flops: np.ndarray) -> np.ndarray:
    """loss = 2 + 30 F^-0.3, a power law, which is not straight in log FLOPs."""
    return 2 + 30 * flops**-0.3


def test_a_smooth_law_is_read_closer_than_along_straight_lines() -> None:
    cost, between = np.array([1.0, 4.0, 16.0, 64.0]), np.array([2.0, 8.0, 32.0])
    read = np.array([line(cost, law(cost)).at(at)[0] for at in between])
    straight = np.interp(np.log(between), np.log(cost), law(cost))
    assert (np.abs(read - law(between)) < 0.6 * np.abs(straight - law(between))).all()
    needed = np.array([line(cost, law(cost)).reach(law(at)[None])[0] for at in between])
    assert np.abs(np.log(needed / between)).max() < 0.05


def test_a_loss_before_and_after_growth_at_one_cost_is_a_jump() -> None:
    made = line(np.array([1.0, 2.0, 2.0, 4.0]), np.array([4.0, 3.0, 2.0, 1.0]))
    assert made.reach(np.array([2.5]))[0] == 2.0 and made.reach(np.array([3.0]))[0] == 2.0
    assert made.reach(np.array([3.5]))[0] == pytest.approx(2**0.5) and made.at(2 * 2**0.5)[0] == pytest.approx(1.5)


def test_a_fit_pools_points_that_rise() -> None:
    _, y = fitted(np.array([1.0, 2.0, 4.0]), np.array([3.0, 1.0, 2.0]))
    assert y[-1] == pytest.approx(1.5), "the running best would trust the lowest, 1.0"


def test_running_median_drops_a_spike_and_keeps_the_ends() -> None:
    assert running_median(np.array([[5.0, 4.0, 9.0, 3.0, 2.0]])).tolist() == [[5.0, 5.0, 4.0, 3.0, 2.0]]
    assert running_median(np.array([[5.0, 4.0]])).tolist() == [[5.0, 4.0]]


def test_invalid_curves_are_refused() -> None:
    with pytest.raises(GrowBenchError, match="not finite"):
        Curve(cost=np.ones((1, 2)), loss=np.array([[1.0, np.nan]]))
    with pytest.raises(GrowBenchError, match="shapes"):
        Curve(cost=np.ones((1, 2)), loss=np.ones((1, 3)))
