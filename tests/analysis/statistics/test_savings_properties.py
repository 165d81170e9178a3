"""Savings of any constructed curve: what must hold whatever the law, the noise, the source's cost and the units."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from growbench.analysis.frames import score_savings
from growbench.analysis.statistics.savings import AT_FIRST, NOT_REACHED, REACHED, Curve, crossing, measure, speedup
from growbench.errors import GrowBenchError

POINTS = st.integers(2, 8)
LOSS = st.floats(0.5, 9).map(lambda value: round(value, 2))


@st.composite
def curves(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Any curve: rising costs, losses as they come, ties and rises included."""
    n = draw(POINTS)
    steps = draw(arrays(np.float64, n, elements=st.floats(0.1, 5)))
    return 1e12 * np.cumsum(steps), draw(arrays(np.float64, n, elements=LOSS))


def law(cost: float, slope: float, points: int, shifts: tuple[float, ...] = (0.0,), source: float = 0.0) -> Curve:
    """loss = 10 - slope log(F / cost) at equally spaced points up to 1e14 FLOPs, one row a shift."""
    flops = np.linspace(0.1, 1, points) * 1e14
    loss = 10 - slope * np.log(flops / cost)
    return Curve(cost=np.tile(flops + source, (len(shifts), 1)), loss=np.stack([loss + s for s in shifts]))


@given(st.floats(0.12, 1), st.floats(0.01, 2), POINTS)
def test_a_cost_that_was_put_in_comes_out(cost: float, slope: float, points: int) -> None:
    found = measure(law(cost, slope, points), law(1.0, slope, points))
    assert found.status == REACHED and found.value == pytest.approx(1 - cost, abs=1e-9)
    assert speedup(found.value) == pytest.approx(1 / cost - 1)


@given(st.floats(0.12, 0.9), st.floats(0.05, 2), st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=4))
def test_what_seeds_share_has_zero_width(cost: float, slope: float, shared: list[float]) -> None:
    found = measure(law(cost, slope, 6, tuple(shared)), law(1.0, slope, 6, tuple(shared)))
    assert found.interval.lo == pytest.approx(1 - cost, abs=1e-6)
    assert found.interval.hi == pytest.approx(1 - cost, abs=1e-6)


@given(curves(), LOSS)
def test_the_crossing_is_the_first_and_never_extrapolated(
    curve: tuple[np.ndarray, np.ndarray], threshold: float
) -> None:
    cost, loss = curve
    found, status = crossing(cost, loss, threshold)
    below = np.flatnonzero(loss <= threshold)
    if not below.size:
        assert (found, status) == (None, NOT_REACHED)
        return
    assert found is not None
    first = int(below[0])
    if first == 0:
        assert (found, status) == (cost[0], REACHED if loss[0] == threshold else AT_FIRST)
    else:
        assert status == REACHED and cost[first - 1] <= found <= cost[first] * (1 + 1e-12)
        if loss[first] == threshold and (loss[:first] > threshold).all():
            assert found == cost[first], "a tie at a point is that point"


@given(curves(), LOSS, st.floats(0.5, 8))
def test_what_comes_after_the_crossing_does_not_matter(
    curve: tuple[np.ndarray, np.ndarray], threshold: float, later: float
) -> None:
    cost, loss = curve
    longer = crossing(np.append(cost, 2 * cost[-1]), np.append(loss, later), threshold)
    found = crossing(cost, loss, threshold)
    assert found == longer if found[0] is not None else longer[1] in (NOT_REACHED, REACHED)


@given(curves(), st.integers(1, 4), st.integers(0, 9))
def test_identical_runs_save_nothing_whatever_their_shape(
    curve: tuple[np.ndarray, np.ndarray], seeds: int, key: int
) -> None:
    cost, loss = curve
    noise = np.random.default_rng(key).normal(0, 0.5, (seeds, len(loss)))
    twin = Curve(cost=np.tile(cost, (seeds, 1)), loss=loss + noise)
    found = measure(twin, twin)
    assert (found.value, found.status, found.share_at_first, found.share_not_reached) == (0.0, REACHED, 0, 0)
    if seeds > 1:
        assert (found.interval.lo, found.interval.hi) == (0.0, 0.0)


@given(curves(), LOSS, st.floats(0.01, 0.5))
def test_a_lower_threshold_is_never_cheaper(curve: tuple[np.ndarray, np.ndarray], threshold: float, gap: float) -> None:
    easy, hard = crossing(*curve, threshold)[0], crossing(*curve, threshold - gap)[0]
    assume(hard is not None)
    assert easy is not None and hard is not None and easy <= hard * (1 + 1e-12)


@given(st.floats(1e-6, 1e6), st.floats(-5, 5), st.floats(0.15, 0.95))
def test_units_and_offsets_do_not_matter(unit: float, offset: float, cost: float) -> None:
    method, scratch = law(cost, 0.3, 5, (0.0, 0.02)), law(1.0, 0.3, 5, (0.01, 0.0))
    plain = measure(method, scratch)
    moved = measure(*(Curve(cost=c.cost * unit, loss=c.loss + offset) for c in (method, scratch)))
    assert moved.status == plain.status
    if plain.value is not None:
        assert moved.value == pytest.approx(plain.value, abs=1e-6)
    assert (moved.interval.lo is None) == (plain.interval.lo is None)


@given(st.floats(0.15, 0.95), st.floats(0, 2e14))
def test_a_source_costs_the_total_what_it_costs(cost: float, source: float) -> None:
    """The threshold lies on a point of the method, so that nothing is interpolated on the shifted axis."""
    loss = np.array([[3.0, 2.0, 1.0]])
    scratch = Curve(cost=np.array([[0.3, 0.6, 1.0]]), loss=loss)
    found = measure(Curve(cost=np.array([[0.1, 0.2, cost]]) + 1e-14 * source, loss=loss), scratch)
    assume(cost > 0.2)
    assert found.value == pytest.approx(1 - cost - 1e-14 * source)


@given(st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=5), st.floats(0.2, 1.1))
def test_an_interval_is_ordered_and_open_only_where_resamples_are(shifts: list[float], cost: float) -> None:
    found = measure(law(cost, 0.25, 5, tuple(shifts)), law(1.0, 0.25, 5, (0.0,) * len(shifts)))
    lo, hi = found.interval.lo, found.interval.hi
    if lo is not None and hi is not None:
        assert lo <= hi
    assert lo is not None or found.share_not_reached > 0
    assert hi is not None or found.share_at_first + found.share_not_reached > 0


def scored(costs: dict[str, float], seeds: int, shifts: tuple[float, ...] = (0.0, 0.0, 0.0), source: float = 0.0):
    """Points and fine-tuning runs of two tasks whose mean is 0.5 + 0.1 log(F / (cost 1e14)) + the seed's shift."""
    points, runs = [], []
    for method, cost in costs.items():
        for seed in range(seeds):
            for fraction in (0.25, 0.5, 1.0):
                flops, point = 1e14 * fraction, f"p{round(100 * fraction)}"
                free = source if method != "scratch" else 0.0
                points.append({
                    "study": "made", "protocol": "trunk", "method": method, "seed": seed, "point": point,
                    "fraction": fraction, "flops": flops, "flops_total": flops + free, "flops_electra": flops / 1.5,
                    "flops_total_electra": (flops + free) / 1.5, "wall_seconds": fraction, "source_flops": free,
                })  # fmt: skip
                score = 0.5 + 0.1 * math.log(fraction / cost) + shifts[seed]
                runs += [
                    {
                        "method": method,
                        "seed": seed,
                        "point": point,
                        "task": task,
                        "finetune_seed": 0,
                        "score": score + d,
                    }
                    for task, d in (("a", 0.1), ("b", -0.1))
                ]
    return pd.DataFrame(points), pd.DataFrame(runs)


@settings(max_examples=15)
@given(st.floats(0.3, 1.0), st.lists(st.floats(-0.1, 0.1), min_size=3, max_size=3))
def test_savings_at_equal_score_are_those_put_in(cost: float, shared: list[float]) -> None:
    table = score_savings.build(*scored({"scratch": 1.0, "grown": cost}, 3, tuple(shared)), ["scratch", "grown"])
    row = table.set_index("method").loc["grown"]
    for name in ("target_only", "total", "amortised", "electra_total", "wall_target_only"):
        assert row[f"saving_{name}"] == pytest.approx(1 - cost, abs=1e-9)
        assert row[f"speedup_{name}"] == pytest.approx(1 / cost - 1, abs=1e-6)
    assert row["saving_total_lo"] == pytest.approx(1 - cost, abs=1e-6), "the seeds are paired"
    assert row["threshold_score"] == pytest.approx(0.5 + np.mean(shared))


def test_scores_that_are_not_reached_or_reached_at_once() -> None:
    costs = {"scratch": 1.0, "worse": 1.2, "best": 0.1}
    table = score_savings.build(*scored(costs, 1, source=5e13), list(costs)).set_index("method")
    assert table.loc["worse", "status_target_only"] == NOT_REACHED and pd.isna(table.loc["worse", "saving_target_only"])
    assert table.loc["best", "status_target_only"] == AT_FIRST
    assert table.loc["best", "saving_target_only"] == pytest.approx(0.75)
    assert table.loc["best", "saving_total"] == pytest.approx(0.25)
    assert table.loc["best", "saving_amortised"] == pytest.approx(0.5), "two methods share the source"
    assert pd.isna(table.loc["best", "saving_total_lo"]), "one seed has no interval"


def test_a_score_that_falls_again_counts_its_first_crossing() -> None:
    points, runs = scored({"scratch": 1.0, "grown": 0.5}, 2)
    late = (runs["method"] == "grown") & (runs["point"] == "p100")
    runs.loc[late, "score"] -= 0.4
    row = score_savings.build(points, runs, ["scratch", "grown"]).set_index("method").loc["grown"]
    assert row["saving_target_only"] == pytest.approx(0.5) and row["score"] < row["threshold_score"]


@pytest.mark.parametrize("drop", [0.0, 0.4])
def test_identical_runs_save_nothing_at_equal_score_whatever_their_shape(drop: float) -> None:
    """With and without a last point that is worse than the one before."""
    points, runs = scored({"scratch": 1.0, "twin": 1.0}, 2, (0.0, 0.05))
    runs.loc[runs["point"] == "p100", "score"] -= drop
    for kept in ({"p25", "p50", "p100"}, {"p100"}):
        some = runs[runs["point"].isin(kept)]
        row = score_savings.build(points, some, ["scratch", "twin"]).set_index("method").loc["twin"]
        assert (row["saving_target_only"], row["status_target_only"]) == (0.0, REACHED)
        best = some.groupby("point")["score"].mean().max()
        assert row["threshold_score"] == pytest.approx(best)


def test_a_method_that_was_not_fine_tuned_is_named() -> None:
    points, runs = scored({"scratch": 1.0, "grown": 0.5}, 2)
    with pytest.raises(GrowBenchError, match="grown: none of its finished points was fine-tuned"):
        score_savings.build(points, runs[runs["method"] == "scratch"], ["scratch", "grown"])
