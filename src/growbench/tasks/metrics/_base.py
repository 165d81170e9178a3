"""What the metrics share: one number from two columns, under the metric's own name."""

from typing import Any

import datasets
import evaluate


class OneNumber(evaluate.Metric):
    """A metric whose result is one number. A subclass names its column type and computes `value`."""

    column = "int64"

    def _info(self) -> evaluate.MetricInfo:
        features = datasets.Features({key: datasets.Value(self.column) for key in ("predictions", "references")})
        return evaluate.MetricInfo(description=self.__doc__ or "", citation="", features=features)

    def value(self, predictions: Any, references: Any) -> float:
        raise NotImplementedError

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        return {type(self).__module__.rsplit(".", 1)[-1]: float(self.value(predictions, references))}
