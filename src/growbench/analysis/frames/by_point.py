"""The savings_by_point frame: what every method saves at each of its finished points, against tokens per parameter."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from growbench.analysis.frames.accounting import ACCOUNTINGS, FRONTIER
from growbench.analysis.frames.measured import SCRATCH, Measured, columns
from growbench.analysis.statistics.savings import NOT_COMMON, measure_at

SHOWN = ("target_only", "total", FRONTIER)
COLUMNS = (
    "study", "method", "point", "accounting", "tpp", "run_tpp", "flops", "n", "status", "saving", "lo", "hi", "multi_lo",
    "multi_hi", "p", "detectable",
)  # fmt: skip


def build(measured: Measured, methods: Sequence[str]) -> pd.DataFrame:
    """Return one row per method, finished point and accounting in which the point has a baseline to compare with.

    tpp: tokens per parameter that these FLOPs buy scratch. run_tpp: those that the method's own run was trained on.
    flops: at which the two are compared. The other columns are those of the savings frame.
    """
    rows = [
        row
        for method in methods
        for name in SHOWN
        if name == FRONTIER or method != SCRATCH
        for row in _rows(measured, method, name)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(measured: Measured, method: str, name: str) -> list[dict[str, Any]]:
    cost = ACCOUNTINGS.get(name, ACCOUNTINGS["total"])
    baseline = measured.frontier() if name == FRONTIER else [measured.curve(SCRATCH, cost)]
    own, rate = measured.own(method), _rate(measured)
    rows = []
    for point in dict.fromkeys(own["point"]):
        here = own[own["point"] == point]
        found = measure_at(measured.curve(method, cost), here[cost].to_numpy(dtype=np.float64), *baseline)
        if found.status == NOT_COMMON or found.at is None:
            continue
        rows.append(
            {
                "study": here["study"].iloc[0],
                "method": method,
                "point": point,
                "accounting": name,
                "tpp": found.at * rate,
                "run_tpp": here["tpp"].mean(),
                **columns(found),
            }
        )
    return rows


def _rate(measured: Measured) -> float:
    """Return the tokens per parameter of the target that one FLOP buys scratch."""
    last = measured.final(SCRATCH)
    return float((last["tpp"] / last["flops"]).mean())
