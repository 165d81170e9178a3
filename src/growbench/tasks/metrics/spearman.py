"""Spearman correlation (STS-B)."""

import numpy as np
from scipy.stats import spearmanr

from growbench.tasks.metrics._base import OneNumber


class Metric(OneNumber):
    """Spearman correlation, -1 to 1; 0 where a column is constant."""

    column = "float64"

    def value(self, predictions, references) -> float:
        if np.ptp(predictions) == 0 or np.ptp(references) == 0:
            return 0.0
        return float(spearmanr(predictions, references).statistic)
