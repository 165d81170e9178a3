"""F1 of class 1 (MRPC, QQP) as an `evaluate` module."""

from typing import Any

import datasets

from growbench.tasks.metrics import modules, scores


class Metric(modules.InMemory):
    """F1 of class 1, 0 to 1; 0 if class 1 is never predicted or never the reference."""

    def _info(self) -> Any:
        return modules.info(self.__doc__, datasets.Value("int64"), datasets.Value("int64"))

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return {"f1": scores.f1(predictions, references)}
