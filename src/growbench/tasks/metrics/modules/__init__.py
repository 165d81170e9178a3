"""The metrics as `evaluate` modules: `evaluate.load("src/growbench/tasks/metrics/modules/accuracy.py")`.

GrowBench itself calls the plain functions. A module computes in memory; only `evaluate.load` writes, below $HF_HOME.
"""

from typing import Any

import datasets
import evaluate


class InMemory(evaluate.Metric):
    """A metric that makes no folder, no file and no lock."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options | {"keep_in_memory": True})

    def _build_data_dir(self) -> str:
        return self._data_dir_root


def info(description: str | None, predictions: Any, references: Any) -> evaluate.MetricInfo:
    """Return what `evaluate` asks of a metric: its description and the types of its two columns."""
    features = datasets.Features({"predictions": predictions, "references": references})
    return evaluate.MetricInfo(description=description or "", citation="", features=features)
