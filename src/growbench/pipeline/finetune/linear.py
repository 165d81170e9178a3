"""Linear models on frozen features: logistic regression for classes, ridge regression for numbers."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # weight of the data against the penalty, from the strongest penalty on
HELD = 0.2  # share of the training rows on which the strength is chosen
STEPS = 300  # most steps of L-BFGS
Score = Callable[[np.ndarray, np.ndarray], float]  # of predictions and labels, [rows]


def predict(
    train: Any, labels: np.ndarray, dev: Any, *, regression: bool, seed: int, score: Score
) -> tuple[np.ndarray, float]:
    """Fit a linear model and return its predictions [dev rows] and its strength.

    The strength with the best score on a part of the training rows, drawn from the seed, is used; of equals the one with the
    strongest penalty. The model is then fitted to all training rows. train, dev: features, [rows, features]; dense ones are
    standardized with the training rows' mean and standard deviation. labels: [train rows].
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    held, rest = np.split(order, [max(1, round(HELD * len(order)))])
    found = [
        score(_fitted(train[rest], labels[rest], train[held], strength, regression), labels[held])
        for strength in STRENGTHS
    ]
    best = STRENGTHS[int(np.argmax(found))]
    return _fitted(train, labels, dev, best, regression), best


def _fitted(train: Any, labels: np.ndarray, dev: Any, strength: float, regression: bool) -> np.ndarray:
    """Return the predictions [dev rows] of a model of one strength; one class alone is always predicted."""
    if len(np.unique(labels)) == 1:
        return np.full(dev.shape[0], labels[0])
    if not sparse.issparse(train):
        kind = np.float64 if regression else train.dtype  # the normal equations of ridge regression need the digits
        scaler = StandardScaler().fit(train.astype(kind))
        train, dev = (scaler.transform(rows.astype(kind)) for rows in (train, dev))
    model: Any = (
        Ridge(alpha=1 / strength, solver="auto") if regression else LogisticRegression(C=strength, max_iter=STEPS)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopping early is one more penalty, the same for all
        found: np.ndarray = model.fit(train, labels).predict(dev)
    return found
