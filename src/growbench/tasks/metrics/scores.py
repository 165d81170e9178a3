"""GLUE's metrics, over scikit-learn and scipy: one number from the predictions and references [rows] of a task."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from sklearn import metrics


def accuracy(predictions: ArrayLike, references: ArrayLike) -> float:
    """Return the share of predictions that equal their reference, 0 to 1."""
    return float(metrics.accuracy_score(references, predictions))


def f1(predictions: ArrayLike, references: ArrayLike) -> float:
    """Return F1 of class 1 (MRPC, QQP), 0 to 1; 0 if class 1 is never predicted or never the reference."""
    return float(metrics.f1_score(references, predictions, zero_division=0))


def matthews(predictions: ArrayLike, references: ArrayLike) -> float:
    """Return the Matthews correlation (CoLA), -1 to 1; 0 for a constant prediction."""
    return float(metrics.matthews_corrcoef(references, predictions))


def pearson(predictions: ArrayLike, references: ArrayLike) -> float:
    """Return the Pearson correlation (STS-B), -1 to 1; 0 if either side is constant."""
    return _correlation(stats.pearsonr, predictions, references)


def spearman(predictions: ArrayLike, references: ArrayLike) -> float:
    """Return the Spearman rank correlation (STS-B), -1 to 1; 0 if either side is constant."""
    return _correlation(stats.spearmanr, predictions, references)


def _correlation(of: Callable, predictions: ArrayLike, references: ArrayLike) -> float:
    sides = [np.asarray(side, dtype=np.float64) for side in (predictions, references)]
    return 0.0 if any(np.ptp(side) == 0 for side in sides) else float(of(*sides).statistic)


SCORES: dict[str, Callable[[ArrayLike, ArrayLike], float]] = {
    score.__name__: score for score in (accuracy, f1, matthews, pearson, spearman)
}
