"""Accuracy as an `evaluate` module."""

from typing import Any

import datasets

from growbench.tasks.metrics import modules, scores


class Metric(modules.InMemory):
    """The share of predictions that equal their reference, 0 to 1."""

    def _info(self) -> Any:
        return modules.info(self.__doc__, datasets.Value("int64"), datasets.Value("int64"))

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return {"accuracy": scores.accuracy(predictions, references)}
