"""The order in which savings are shown: growing methods with the largest saving first, and controls apart."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from growbench import methods

Row = Mapping[str, Any]
KEYS = (
    "saving_frontier",
    "saving_total",
)  # everything counted: against the frontier, where a table has it, else scratch


def ranked(rows: Sequence[Row], bases: Mapping[str, str] | None = None) -> tuple[list[Row], list[Row]]:
    """Return the rows of growing methods, and those of scratch and other controls, each with the largest saving first.

    rows: of the savings or savings_score frame. Methods that do not reach scratch's final loss come last, in the order
    of `rows`. bases: by method, the method that it is a variant of; without it a variant counts as a growing method.
    """
    by_saving = sorted(rows, key=_negative_saving)
    of_control = {str(row["method"]): is_control((bases or {}).get(row["method"], row["method"])) for row in rows}
    growing = [row for row in by_saving if not of_control[str(row["method"])]]
    return growing, [row for row in by_saving if of_control[str(row["method"])]]


def is_control(method: str) -> bool:
    """Whether a method is scratch or a control, which grows nothing."""
    return method == "scratch" or (method in methods.names() and methods.load(method).control)


def _negative_saving(row: Row) -> float:
    value = row[next(key for key in KEYS if key in row)]
    return math.inf if value is None or math.isnan(value) else -float(value)
