"""IQM and probability of improvement against scipy and against distributions that can be written down."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import stats

from growbench.analysis.frames import averages as averages_table
from growbench.analysis.statistics import reliable
from growbench.errors import GrowBenchError

SCORES = st.floats(-1, 1).map(lambda value: round(value, 2))  # rounded, so that ties come up
SHAPES = array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=5)


@given(arrays(np.float64, st.integers(1, 40), elements=SCORES))
def test_iqm_is_scipy_s_trimmed_mean(scores: np.ndarray) -> None:
    assert reliable.iqm(scores) == pytest.approx(stats.trim_mean(scores, 0.25), abs=1e-12)


@given(arrays(np.float64, st.integers(4, 40), elements=SCORES), st.floats(2, 1e6))
def test_iqm_ignores_the_extremes(scores: np.ndarray, far: float) -> None:
    order = np.sort(scores)
    moved = np.concatenate([order[:-1], [far]])
    assert reliable.iqm(moved) == reliable.iqm(order)


@given(st.data(), SHAPES)
def test_one_of_two_wins_and_ties_count_half(data: st.DataObject, shape: tuple[int, ...]) -> None:
    x, y = (data.draw(arrays(np.float64, shape, elements=SCORES)) for _ in "xy")
    assert reliable.improvement(x, y) + reliable.improvement(y, x) == pytest.approx(1)
    assert reliable.improvement(x, x) == pytest.approx(0.5)
    assert reliable.improvement(x + 3, y) == 1 and reliable.improvement(x - 3, y) == 0


@given(st.data(), st.integers(1, 6), st.integers(1, 6))
def test_on_one_task_it_is_the_mann_whitney_statistic(data: st.DataObject, n: int, k: int) -> None:
    x, y = (data.draw(arrays(np.float64, (size, 1, 1), elements=SCORES)) for size in (n, k))
    found = stats.mannwhitneyu(x.ravel(), y.ravel()).statistic / (n * k)
    assert reliable.improvement(x, y) == pytest.approx(found)


def test_tasks_weigh_the_same() -> None:
    x, y = np.zeros((3, 1, 2)), np.zeros((3, 1, 2))
    x[..., 0] = 1.0
    x[0, 0, 1] = 1.0
    assert reliable.improvement(x, y) == pytest.approx((1 + (1 + 0.5 + 0.5) / 3) / 2)


def test_each_task_is_resampled_on_its_own() -> None:
    """Two seeds that trade places between two tasks: resampled together their mean is fixed, task by task it is not."""
    scores = np.array([[[0.0, 1.0]], [[1.0, 0.0]]])
    assert {round(value, 6) for value in scores.mean(axis=(1, 2))} == {0.5}
    found = reliable.iqm_interval(scores)
    assert (found.lo, found.hi) == (0.0, 1.0)


def test_fine_tuning_runs_stay_with_their_checkpoint() -> None:
    """Were the four runs resampled alone, the interval would be narrower than what the two seeds allow."""
    scores = np.array([[[0.0], [0.0]], [[1.0], [1.0]]])
    found = reliable.iqm_interval(scores)
    assert (found.lo, found.hi) == (0.0, 1.0)
    narrow = reliable.iqm_interval(scores.transpose(1, 0, 2))
    assert (narrow.lo, narrow.hi) == (0.5, 0.5)


def test_many_seeds_agree_with_the_normal_approximation() -> None:
    draw = np.random.default_rng(2)
    x, y = draw.normal(0.5, 1, size=(40, 1, 1)), draw.normal(size=(40, 1, 1))
    found = reliable.improvement_interval(x, y)
    p = reliable.improvement(x, y)
    wins = reliable.wins(x, y)[..., 0]
    half = 1.96 * np.sqrt(wins.mean(axis=1).var() / 40 + wins.mean(axis=0).var() / 40)
    assert found.lo == pytest.approx(p - half, abs=0.02) and found.hi == pytest.approx(p + half, abs=0.02)


def test_equal_seeds_have_zero_width_and_one_seed_no_interval() -> None:
    same = np.full((3, 2, 2), 0.4)
    found = reliable.iqm_interval(same)
    assert found.lo == found.hi == pytest.approx(0.4)
    assert reliable.iqm_interval(same[:1]).lo is None
    assert reliable.improvement_interval(same, same[:1]).lo is None


def test_the_majority_is_zero_and_perfect_is_one() -> None:
    found = reliable.normalize(np.array([0.6, 1.0, 0.8, 0.4]), np.array([0.6, 0.6, 0.6, 0.6]))
    assert found == pytest.approx([0.0, 1.0, 0.5, -0.5])
    with pytest.raises(GrowBenchError, match="leave the task out"):
        reliable.normalize(np.array([1.0]), np.array([1.0]))


def runs(scores: dict[str, dict[str, list[float]]], majority: float = 0.5) -> pd.DataFrame:
    """Return fine-tuning runs, one per seed, from scores by method and task."""
    return pd.DataFrame(
        {
            "study": "made", "suite": "toyglue", "method": method, "seed": seed, "point": "p100", "task": task,
            "finetune_seed": 0, "score": value, "majority": 1.0 if task == "solved" else majority,
        }
        for method, tasks in scores.items() for task, values in tasks.items() for seed, value in enumerate(values)
    )  # fmt: skip


def test_the_table_has_known_numbers() -> None:
    made = {
        "scratch": {"a": [0.5, 0.75], "b": [0.75, 0.75], "solved": [1.0, 1.0]},
        "grown": {"a": [1.0, 1.0], "b": [0.75, 0.75], "solved": [1.0, 1.0]},
    }
    table = averages_table.build(runs(made), ["scratch", "grown"]).set_index("method")
    assert table.loc["scratch", "mean"] == pytest.approx((0 + 0.5 + 0.5 + 0.5) / 4)
    assert table.loc["scratch", "iqm"] == pytest.approx(0.5), "one of four is cut off at each end"
    assert table.loc["grown", "improvement"] == pytest.approx((1 + 0.5) / 2)
    assert pd.isna(table.loc["scratch", "improvement"])
    assert list(table["n_tasks"]) == [2, 2], "the majority solves the third"
    assert (table.loc["grown", "iqm_lo"], table.loc["grown", "iqm_hi"]) == (0.75, 0.75)


def test_a_missing_run_is_named() -> None:
    made = runs({"scratch": {"a": [0.5, 0.6], "b": [0.5, 0.6]}})
    with pytest.raises(GrowBenchError, match="scratch: its runs do not have the same tasks"):
        averages_table.build(made.iloc[:-1], ["scratch"])
