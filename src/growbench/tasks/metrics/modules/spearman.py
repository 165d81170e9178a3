"""Spearman correlation (STS-B) as an `evaluate` module."""

from typing import Any

import datasets

from growbench.tasks.metrics import modules, scores


class Metric(modules.InMemory):
    """Spearman rank correlation, -1 to 1; 0 if either side is constant."""

    def _info(self) -> Any:
        return modules.info(self.__doc__, datasets.Value("float64"), datasets.Value("float64"))

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return {"spearman": scores.spearman(predictions, references)}
