"""SQuAD's exact match and F1 (the official evaluation scripts of 1.1 and 2.0, recomputed), and 2.0's best threshold."""

import re
import string
from collections import Counter
from collections.abc import Sequence

import numpy as np

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize(text: str) -> str:
    """Return the text in lower case, without ASCII punctuation and articles, words separated by single spaces."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def each(prediction: str, answers: Sequence[str]) -> tuple[float, float]:
    """Return exact match and F1 of one prediction, each the maximum over the gold answers.

    If there is no gold answer (2.0), only the empty prediction is right. A gold answer of punctuation and articles
    alone does not count, as in 2.0's script.
    """
    golds = [gold for gold in map(normalize, answers) if gold] or [""]
    predicted = normalize(prediction)
    return float(predicted in golds), max(_f1(predicted.split(), gold.split()) for gold in golds)


def _f1(predicted: list[str], gold: list[str]) -> float:
    if not predicted or not gold:
        return float(predicted == gold)
    common = sum((Counter(predicted) & Counter(gold)).values())
    return 2 * common / (len(predicted) + len(gold))


def mean_scores(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Return the mean exact_match and f1 of predictions ("" for no answer), given the gold answers of each."""
    exact, f1 = np.mean([each(*pair) for pair in zip(predictions, references, strict=True)], axis=0)
    return {"exact_match": float(exact), "f1": float(f1)}


def best_threshold(difference: np.ndarray, answered: np.ndarray, silent: np.ndarray) -> tuple[float, float]:
    """Return the best mean score [0, 1] over thresholds on the null score difference, and the smallest best threshold.

    difference [n]: a question's null score minus the score of its best span. answered, silent [n]: its score with that
    span, and with no answer. A question is answered if its difference is at most the threshold.
    """
    levels = np.unique(difference[np.isfinite(difference)])
    levels = np.concatenate([levels[:1] - 1, levels]) if len(levels) else np.zeros(1)
    order = np.argsort(difference, kind="stable")
    gains = np.concatenate([[0.0], np.cumsum((answered - silent)[order])])
    totals = silent.sum() + gains[np.searchsorted(difference[order], levels, side="right")]
    best = int(np.argmax(np.round(totals, 9)))
    return float(totals[best]) / len(difference), float(levels[best])
