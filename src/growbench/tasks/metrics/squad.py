"""SQuAD's exact match and F1 (the official evaluation scripts of 1.1 and 2.0, recomputed), and 2.0's best threshold."""

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(text: str) -> str:
    """Lower case, no (ASCII) punctuation, no articles, single blanks."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def each(prediction: str, answers: Sequence[str]) -> tuple[float, float]:
    """Return exact match and F1 of one prediction, each the largest over the gold answers.

    Without an answer (2.0) only the empty prediction is right. Answers of punctuation and articles alone count as none,
    as in 2.0's script.
    """
    golds = [gold for gold in map(normalise, answers) if gold] or [""]
    said = normalise(prediction)
    return float(said in golds), max(_f1(said.split(), gold.split()) for gold in golds)


def _f1(said: list[str], gold: list[str]) -> float:
    if not said or not gold:
        return float(said == gold)
    common = sum((Counter(said) & Counter(gold)).values())
    return 2 * common / (len(said) + len(gold))


def best_threshold(difference: np.ndarray, answered: np.ndarray, silent: np.ndarray) -> tuple[float, float]:
    """Return the best mean score [0, 1] over thresholds on the null score difference, and the smallest such threshold.

    difference [n]: null score less best span's. answered, silent [n]: a question's score with that span, with none. A
    question is answered where its difference is at most the threshold.
    """
    levels = np.unique(difference[np.isfinite(difference)])
    levels = np.concatenate([levels[:1] - 1, levels]) if len(levels) else np.zeros(1)
    order = np.argsort(difference, kind="stable")
    gains = np.concatenate([[0.0], np.cumsum((answered - silent)[order])])
    totals = silent.sum() + gains[np.searchsorted(difference[order], levels, side="right")]
    best = int(np.argmax(np.round(totals, 9)))
    return float(totals[best]) / len(difference), float(levels[best])


class Metric(evaluate.Metric):
    """exact_match and f1, 0 to 1. predictions: texts, "" for no answer; references: the list of each one's answers."""

    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        features = datasets.Features({"predictions": text, "references": datasets.Sequence(text)})
        return evaluate.MetricInfo(description=self.__doc__ or "", citation="", features=features)

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        scores = [each(said, golds) for said, golds in zip(predictions, references, strict=True)]
        exact, f1 = np.mean(scores, axis=0)
        return {"exact_match": float(exact), "f1": float(f1)}
