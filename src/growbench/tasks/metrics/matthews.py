"""Matthews correlation (CoLA)."""

from sklearn.metrics import matthews_corrcoef

from growbench.tasks.metrics._base import OneNumber


class Metric(OneNumber):
    """Matthews correlation, -1 to 1; 0 for a constant prediction."""

    def value(self, predictions, references) -> float:
        return matthews_corrcoef(references, predictions)
