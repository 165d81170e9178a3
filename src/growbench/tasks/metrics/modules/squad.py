"""SQuAD's exact match and F1 as an `evaluate` module."""

from typing import Any

import datasets

from growbench.tasks.metrics import modules, squad


class Metric(modules.InMemory):
    """exact_match and f1, 0 to 1. predictions: strings, "" for no answer. references: the gold answers of each."""

    def _info(self) -> Any:
        text = datasets.Value("string")
        return modules.info(self.__doc__, text, datasets.Sequence(text))

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return squad.mean_scores(predictions, references)
