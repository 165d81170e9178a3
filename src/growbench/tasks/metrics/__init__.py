"""Local `evaluate.Metric` modules, so that nothing is fetched from a hub: `load(name).compute(predictions=, references=)`."""

import importlib
from typing import Any

from growbench.errors import GrowBenchError, nearest

NAMES = ("accuracy", "f1", "matthews", "pearson", "spearman", "squad")


def load(name: str) -> Any:
    """Return the metric of this name; raise GrowBenchError naming the nearest when there is none."""
    if name not in NAMES:
        raise GrowBenchError(f"metric: '{name}' is not known; {nearest(name, NAMES)}")
    return importlib.import_module(f"growbench.tasks.metrics.{name}").Metric()
