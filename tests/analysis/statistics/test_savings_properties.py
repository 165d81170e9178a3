"""Savings of any constructed curve: what must hold whatever the law, the noise, the source's cost and the units."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from growbench.analysis.frames import score_savings
from growbench.analysis.statistics.reading import Curve
from growbench.analysis.statistics.savings import AT_FIRST, NOT_REACHED, REACHED, measure, speedup
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


@given(curves(), st.integers(1, 4))
def test_identical_runs_save_nothing_whatever_their_shape(run: tuple[np.ndarray, np.ndarray], seeds: int) -> None:
    cost, loss = run
    shifts = 0.1 * np.arange(seeds)
    made = Curve(cost=np.tile(cost, (seeds, 1)), loss=np.stack([loss + s for s in shifts]))
    found = measure(made, made)
    assert found.value == 0.0 and found.status == REACHED and set(found.logs) == {0.0}


@given(curves(), curves())
def test_a_method_saves_what_the_other_loses(
    one: tuple[np.ndarray, np.ndarray], two: tuple[np.ndarray, np.ndarray]
) -> None:
    """The log ratio changes its sign when the two trade places, so that no side is favored."""
    a, b = (Curve(cost=cost[None], loss=loss[None]) for cost, loss in (one, two))
    there, back = measure(a, b), measure(b, a)
    assert {there.status, back.status} in ({REACHED}, {AT_FIRST, NOT_REACHED})
    if there.status == REACHED:
        assert there.logs[0] == pytest.approx(-back.logs[0], abs=1e-9)


@given(curves(), curves(), st.floats(0, 2))
def test_a_better_loss_never_saves_less(
    one: tuple[np.ndarray, np.ndarray], two: tuple[np.ndarray, np.ndarray], gain: float
) -> None:
    method, scratch = (Curve(cost=cost[None], loss=loss[None]) for cost, loss in (one, two))
    before, after = measure(method, scratch), measure(method.lowered(gain), scratch)
    if before.value is not None:
        assert after.value is not None and after.value >= before.value - 1e-9


@given(st.floats(0.95, 1.05), st.floats(0.05, 2), POINTS)
def test_nothing_jumps_where_a_method_becomes_worse_than_scratch(cost: float, slope: float, points: int) -> None:
    found = measure(law(cost, slope, points), law(1.0, slope, points))
    if found.value is not None:
        assert found.value == pytest.approx(1 - cost, abs=1e-9)


@given(st.floats(1e-6, 1e6), st.floats(-5, 5), st.floats(0.15, 3.0))
def test_units_and_offsets_do_not_matter(unit: float, offset: float, cost: float) -> None:
    method, scratch = law(cost, 0.3, 5, (0.0, 0.02)), law(1.0, 0.3, 5, (0.01, 0.0))
    plain = measure(method, scratch)
    moved = measure(*(Curve(cost=c.cost * unit, loss=c.loss + offset) for c in (method, scratch)))
    assert moved.status == plain.status
    if plain.value is not None:
        assert moved.value == pytest.approx(plain.value, abs=1e-6)
    assert (moved.interval.lo is None) == (plain.interval.lo is None)


@given(st.floats(0.21, 0.95), st.floats(0, 2))
def test_a_source_costs_the_total_what_it_costs(cost: float, source: float) -> None:
    """The comparison lies on a point of the method, so that nothing is interpolated on the shifted axis."""
    loss = np.array([[3.0, 2.0, 1.0]])
    scratch = Curve(cost=np.array([[0.3, 0.6, 1.0]]), loss=loss)
    found = measure(Curve(cost=np.array([[0.1, 0.2, cost]]) + source, loss=loss), scratch)
    assert found.value == pytest.approx(1 - cost - source)


@given(st.lists(st.floats(-0.2, 0.2), min_size=2, max_size=5), st.floats(0.2, 2))
def test_an_interval_is_ordered_and_open_only_at_bounds(shifts: list[float], cost: float) -> None:
    found = measure(law(cost, 0.25, 5, tuple(shifts)), law(1.0, 0.25, 5, (0.0,) * len(shifts)))
    lo, hi = found.interval.lo, found.interval.hi
    if found.status == REACHED:
        assert lo is not None and hi is not None and lo <= found.value + 1e-12 <= hi + 2e-12
    else:
        assert hi is None


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
    costs = {"scratch": 1.0, "worse": 1.2, "worst": 5.0, "best": 0.1}
    table = score_savings.build(*scored(costs, 1, source=5e13), list(costs)).set_index("method")
    assert table.loc["worse", "saving_target_only"] == pytest.approx(-0.2)
    assert table.loc["worst", "status_target_only"] == NOT_REACHED and pd.isna(table.loc["worst", "saving_target_only"])
    assert table.loc["best", "status_target_only"] == AT_FIRST
    assert table.loc["best", "saving_target_only"] == pytest.approx(0.75)
    assert table.loc["best", "saving_total"] == pytest.approx(0.25)
    assert table.loc["best", "saving_amortised"] == pytest.approx(0.75 - 0.5 / 3), "three methods share the source"
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
