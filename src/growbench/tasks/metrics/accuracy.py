"""Share of predictions that equal the reference."""

from sklearn.metrics import accuracy_score

from growbench.tasks.metrics._base import OneNumber


class Metric(OneNumber):
    """Accuracy, 0 to 1."""

    def value(self, predictions, references) -> float:
        return accuracy_score(references, predictions)
