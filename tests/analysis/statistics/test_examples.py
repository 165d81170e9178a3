"""The interval over seeds x fine-tuning runs x examples, on constructed truths; metrics on resampled rows against the metrics."""

import numpy as np
import pytest

from growbench.analysis.statistics import examples
from growbench.analysis.statistics.intervals import Floats, mean_interval
from growbench.records.predictions import Examples, Kind
from growbench.tasks.metrics.scores import SCORES

ROWS, RUNS = 200, 2
RIGHT = np.ones(ROWS, dtype=np.uint8)


def kept(predicted: np.ndarray, labels: np.ndarray | None, kind: Kind = "class") -> Examples:
    return Examples("made", 0, 1e-3, kind, predicted, labels)


def drawn(outcomes: np.ndarray) -> Floats:
    """Return the mean score of each seed on resampled examples; outcomes: shape (seeds, runs, ROWS)."""
    runs = [[examples.of_run("accuracy", kept(run.astype(np.uint8), RIGHT)) for run in seed] for seed in outcomes]
    return np.stack([np.mean(np.stack([r for r in seed if r is not None]), axis=0) for seed in runs], axis=1)


def outcomes(draw: np.random.Generator, seeds: int, of_example: float, of_seed: float = 0.1) -> np.ndarray:
    """Return which examples a method gets right, (seeds, RUNS, ROWS). of_example, of_seed: SDs of the log odds."""
    odds = 0.5 + draw.normal(0, of_example, ROWS) + draw.normal(0, of_seed, (seeds, 1, 1))
    return draw.random((seeds, RUNS, ROWS)) < 1 / (1 + np.exp(-odds - draw.normal(0, 0.1, (seeds, RUNS, 1))))


def ends(method: np.ndarray, scratch: np.ndarray) -> tuple[float, float]:
    gaps = method.mean(axis=(1, 2)) - scratch.mean(axis=(1, 2))
    found = examples.gap_interval(gaps, drawn(method) - drawn(scratch), ROWS)
    assert found.lo is not None and found.hi is not None
    return found.lo, found.hi


@pytest.mark.parametrize("seeds", [3, 5, 8])
def test_the_interval_covers_the_truth_where_that_over_seeds_does_not(seeds: int) -> None:
    """Both methods are as good over all examples, but at hand are the same 200 of them in all seeds."""
    draw, second, first = np.random.default_rng(seeds), [], []
    for _ in range(300):
        method, scratch = outcomes(draw, seeds, 3.0), outcomes(draw, seeds, 3.0)
        lo, hi = ends(method, scratch)
        second.append(lo <= 0 <= hi)
        over_seeds = mean_interval(method.mean(axis=(1, 2)) - scratch.mean(axis=(1, 2)))
        assert over_seeds.lo is not None and over_seeds.hi is not None
        first.append(over_seeds.lo <= 0 <= over_seeds.hi)
    assert np.mean(second) == pytest.approx(0.95, abs=0.035), "0.035 is 2.8 standard errors of 300 studies"
    assert np.mean(first) < 0.88


def test_what_a_seed_does_to_all_examples_widens_it() -> None:
    alike = [outcomes(np.random.default_rng(i), 5, 1.0, of_seed=0.0) for i in (0, 1)]
    apart = [outcomes(np.random.default_rng(i), 5, 1.0, of_seed=1.0) for i in (0, 1)]
    narrow, wide = ends(*alike), ends(*apart)
    assert wide[1] - wide[0] > 2 * (narrow[1] - narrow[0])


def test_the_same_outcomes_have_no_difference() -> None:
    same = outcomes(np.random.default_rng(0), 3, 1.0)
    assert ends(same, same) == (0, 0)


def test_one_seed_has_no_interval() -> None:
    one = outcomes(np.random.default_rng(0), 1, 1.0)
    found = examples.gap_interval(np.zeros(1), drawn(one) - drawn(one), ROWS)
    assert found.lo is None and found.hi is None


@pytest.mark.parametrize("metric", sorted(SCORES))
def test_scores_of_resamples_are_the_metric_of_the_rows_that_were_drawn(metric: str) -> None:
    rng = np.random.default_rng(1)
    if metric in ("pearson", "spearman"):
        labels = rng.integers(0, 6, 60) / np.float16(2)
        one = kept((labels + rng.normal(0, 1, 60)).round(1).astype("<f2"), labels, "number")
    else:
        labels = rng.integers(0, 2, 60).astype(np.uint8)
        one = kept(np.where(rng.random(60) < 0.3, 1 - labels, labels), labels)
    found = examples.of_run(metric, one)
    assert found is not None and found.shape == (examples.RESAMPLES,)
    for place in range(0, examples.RESAMPLES, 50):
        rows = np.repeat(np.arange(60), examples._drawn("made", 60)[place])
        assert len(rows) == 60
        assert found[place] == pytest.approx(SCORES[metric](one.predicted[rows], labels[rows]), abs=1e-5)


@pytest.mark.parametrize("metric", ["f1", "matthews", "pearson", "spearman"])
def test_a_constant_prediction_scores_zero_in_every_resample(metric: str) -> None:
    number = metric in ("pearson", "spearman")
    labels = np.arange(40) % 2 if not number else np.linspace(0, 5, 40)
    predicted = np.full(40, 3.3, "<f2") if number else np.zeros(40, np.uint8)
    found = examples.of_run(metric, kept(predicted, labels, "number" if number else "class"))
    assert found is not None and (found == 0).all()


def test_scores_of_examples_are_averaged() -> None:
    found = examples.of_run("f1", kept(np.full(9, 0.25, "<f2"), None, "score"))
    assert found == pytest.approx(0.25)


def test_what_predictions_do_not_give_is_left_out() -> None:
    three = np.arange(30, dtype=np.uint8) % 3
    assert examples.of_run("matthews", kept(three, three)) is None, "it is recomputed for two classes"
    assert examples.of_run("accuracy", kept(three, None)) is None
    assert examples.of_run("pearson", kept(np.full(3, np.inf, "<f2"), np.zeros(3, "<f2"), "number")) is None
    assert examples.of_run("other", kept(three, three)) is None


def test_each_kind_of_pairs_is_resampled_on_its_own() -> None:
    found = examples.of_outcomes("pairs", {"a": np.ones(5, bool), "b": np.arange(400) % 2 == 0})
    assert found.mean() == pytest.approx(0.75, abs=0.005)
    assert found.std() == pytest.approx(0.5 * np.sqrt(0.25 / 400), rel=0.1)
