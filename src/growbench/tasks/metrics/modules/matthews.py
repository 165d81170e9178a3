"""Matthews correlation (CoLA) as an `evaluate` module."""

from typing import Any

import datasets

from growbench.tasks.metrics import modules, scores


class Metric(modules.InMemory):
    """Matthews correlation, -1 to 1; 0 for a constant prediction."""

    def _info(self) -> Any:
        return modules.info(self.__doc__, datasets.Value("int64"), datasets.Value("int64"))

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return {"matthews": scores.matthews(predictions, references)}
