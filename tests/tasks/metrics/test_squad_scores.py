"""SQuAD's scores against hand-computed values, and 2.0's best threshold against a search over all."""

import numpy as np
import pytest

from growbench.tasks.metrics.squad import best_threshold, each, mean_scores, normalize


@pytest.mark.parametrize(
    ("prediction", "answers", "exact", "f1"),
    [
        ("The  Cat.", ["a cat!"], 1, 1),
        ("the big cat", ["cat sat", "big cat indeed"], 0, 0.8),
        ("cat cat", ["cat"], 0, 2 / 3),
        ("dog", ["cat"], 0, 0),
        ("", ["cat"], 0, 0),
        ("", [], 1, 1),
        ("cat", [], 0, 0),
        ("", ["the"], 1, 1),
        ("Théâtre", ["theatre"], 0, 0),
        ("U.S.", ["US"], 1, 1),
        ("another", ["other"], 0, 0),
    ],
)
def test_scores_by_hand(prediction: str, answers: list[str], exact: float, f1: float) -> None:
    assert each(prediction, answers) == (exact, pytest.approx(f1))
    found = mean_scores([prediction, "x"], [answers, ["x"]])
    assert found == {"exact_match": pytest.approx((1 + exact) / 2), "f1": pytest.approx((1 + f1) / 2)}


def test_articles_are_words_not_letters() -> None:
    assert normalize("A theme: an\tAnt, the-end") == "theme ant theend"


def test_the_best_threshold_equals_that_of_a_full_search() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        gap = rng.integers(-3, 4, 30).astype(float)
        answered, silent = rng.random(30), rng.integers(0, 2, 30).astype(float)
        levels = [gap.min() - 1, *sorted(set(gap))]
        tried = [np.where(gap <= level, answered, silent).mean() for level in levels]
        best, threshold = best_threshold(gap, answered, silent)
        assert best == pytest.approx(max(tried)) and threshold == levels[int(np.argmax(tried))]
    assert best_threshold(np.array([np.inf]), np.zeros(1), np.ones(1)) == (1.0, 0.0)
