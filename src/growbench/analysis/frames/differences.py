"""The differences frame: method against method, paired by seed, everything counted."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from growbench.analysis.frames.accounting import ACCOUNTINGS
from growbench.analysis.frames.measured import Measured, columns
from growbench.analysis.statistics.intervals import mean_interval
from growbench.analysis.statistics.multiplicity import holm
from growbench.analysis.statistics.savings import measure

TOTAL = ACCOUNTINGS["total"]
COLUMNS = (
    "study", "method", "other", "n", "flops", "status", "saving", "lo", "hi", "multi_lo", "multi_hi", "p", "p_holm",
    "detectable", "level", "loss_gap", "loss_gap_lo", "loss_gap_hi",
)  # fmt: skip


def build(measured: Measured, methods: Sequence[str]) -> pd.DataFrame:
    """Return one row per pair of methods.

    saving: what `method` saves against `other` at the lowest loss that both reach; flops: by which both have; p_holm: corrected for all pairs.
    loss_gap: final loss of `method` minus that of `other`, each at its own end; lo, hi: 95 % t interval.
    The other columns are those of the savings frame.
    """
    rows = corrected([row(measured, method, other) for method, other in combinations(methods, 2)])
    return pd.DataFrame(rows, columns=COLUMNS)


def corrected(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with their p values corrected for one another, as p_holm."""
    found = holm({str(place): row["p"] for place, row in enumerate(rows)})
    return [row | {"p_holm": found[str(place)]} for place, row in enumerate(rows)]


def row(measured: Measured, method: str, other: str) -> dict[str, Any]:
    """Return the row of one pair, without its corrected p value."""
    found = measure(measured.curve(method, TOTAL), measured.curve(other, TOTAL))
    own, theirs = (measured.final(name)["loss"].to_numpy(dtype=np.float64) for name in (method, other))
    gap = mean_interval(own - theirs)
    return {
        "study": measured.points["study"].iloc[0],
        "method": method,
        "other": other,
        **columns(found),
        "level": found.level,
        "loss_gap": float(np.mean(own - theirs)),
        "loss_gap_lo": gap.lo,
        "loss_gap_hi": gap.hi,
    }
