"""Linear models on features: they find what is there, choose their strength on training rows, and repeat."""

import numpy as np
import pytest
from scipy import sparse

from growbench.pipeline.finetune import features, linear
from growbench.tasks.metrics.scores import accuracy, pearson


def drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features [rows, 5] of unequal scale, and their weighted sum [rows]."""
    found = np.random.default_rng(seed).normal(size=(rows, 5))
    return (found * np.array([1, 1, 100, 1, 0.01])).astype(np.float32), found @ np.array([1.0, -2.0, 0.5, 0.0, 3.0])


@pytest.mark.parametrize("sparsely", [False, True])
def test_classes_that_a_plane_separates_are_found(sparsely: bool) -> None:
    train, dev = (
        drawn(rows, seed)[0] / (np.array([1, 1, 100, 1, 0.01]) if sparsely else 1)
        for rows, seed in ((600, 0), (200, 1))
    )
    labels, gold = (drawn(rows, seed)[1] > 0 for rows, seed in ((600, 0), (200, 1)))
    made = (sparse.csr_matrix(train), sparse.csr_matrix(dev)) if sparsely else (train, dev)
    predicted, strength = linear.predict(made[0], labels.astype(int), made[1], regression=False, seed=0, score=accuracy)
    assert accuracy(predicted, gold.astype(int)) > 0.95 and strength in linear.STRENGTHS


def test_numbers_are_found_by_ridge_regression() -> None:
    (train, labels), (dev, gold) = drawn(600, 0), drawn(200, 1)
    predicted, _ = linear.predict(train, labels, dev, regression=True, seed=0, score=pearson)
    assert pearson(predicted, gold) > 0.99


def test_noise_gets_the_strongest_penalty_that_is_as_good_and_the_same_seed_the_same_result() -> None:
    rng = np.random.default_rng(0)
    train, dev, labels = rng.normal(size=(200, 50)), rng.normal(size=(100, 50)), rng.integers(0, 2, 200)
    first, second = (linear.predict(train, labels, dev, regression=False, seed=3, score=accuracy) for _ in range(2))
    assert (first[0] == second[0]).all() and first[1] == second[1]
    alike, strength = linear.predict(train, np.ones(200, dtype=int), dev, regression=False, seed=0, score=accuracy)
    assert (alike == 1).all() and strength == linear.STRENGTHS[0]


def test_the_strength_is_chosen_without_the_dev_rows() -> None:
    (train, labels), (dev, _) = drawn(600, 0), drawn(200, 1)
    asked: list[int] = []

    def score(predicted: np.ndarray, gold: np.ndarray) -> float:
        asked.append(len(gold))
        return accuracy(predicted, gold)

    linear.predict(train, (labels > 0).astype(int), dev, regression=False, seed=0, score=score)
    assert asked == [120] * len(linear.STRENGTHS)


def test_a_pair_has_both_texts_and_how_they_compare_dense_or_sparse() -> None:
    u, v = features.counts([[1, 1, 2], []], 4), features.counts([[1], [3]], 4)
    assert u.toarray().tolist() == [[0, 2, 1, 0], [0, 0, 0, 0]]
    both = features.joined([u, v]).toarray()
    assert both.tolist() == features.joined([u.toarray(), v.toarray()]).tolist()
    assert both[0].tolist() == [0, 2, 1, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 2, 0, 0]
    assert (features.joined([u]) != u).nnz == 0


@pytest.mark.filterwarnings("error")
def test_features_that_nearly_repeat_one_another_are_no_trouble_for_ridge_regression() -> None:
    (train, labels), (dev, gold) = drawn(600, 0), drawn(200, 1)
    twice = [np.concatenate([rows, rows * (1 + 1e-6)], axis=1) for rows in (train, dev)]
    predicted, _ = linear.predict(twice[0], labels, twice[1], regression=True, seed=0, score=pearson)
    assert pearson(predicted, gold) > 0.99
