"""F1 of class 1 (MRPC, QQP)."""

from sklearn.metrics import f1_score

from growbench.tasks.metrics._base import OneNumber


class Metric(OneNumber):
    """F1 of the positive class, 0 to 1; 0 where nothing positive is predicted or there."""

    def value(self, predictions, references) -> float:
        return f1_score(references, predictions, zero_division=0)
