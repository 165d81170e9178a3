"""The order in which savings are shown: growing methods with the largest saving first, and controls apart; and which lead."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from growbench import methods

Row = Mapping[str, Any]
FROM_SOURCE, ON_THE_WAY, CONTROLS = "from a source", "growing on the way", "controls"
MOST = 8  # methods that a figure tells apart by color
KEYS = (
    "saving_frontier",
    "saving_total",
)  # everything counted: against the frontier, where a table has it, else scratch


def ranked(
    rows: Sequence[Row], bases: Mapping[str, str] | None = None, keys: Sequence[str] = KEYS
) -> tuple[list[Row], list[Row]]:
    """Return the rows of growing methods, and those of scratch and other controls, each with the largest saving first.

    rows: of the savings or savings_score frame. Methods that do not reach scratch's final loss come last, in the order
    of `rows`. bases: by method, the method that it is a variant of; without it a variant counts as a growing method.
    keys: columns of savings, the first of which a row has is used.
    """
    by_saving = sorted(rows, key=lambda row: _negative_saving(row, keys))
    of_control = {str(row["method"]): is_control((bases or {}).get(row["method"], row["method"])) for row in rows}
    growing = [row for row in by_saving if not of_control[str(row["method"])]]
    return growing, [row for row in by_saving if of_control[str(row["method"])]]


def grouped(rows: Sequence[Row], bases: Mapping[str, str] | None = None) -> dict[str, list[Row]]:
    """Return rows by what a method grows from, each group with the largest saving first; groups without rows are left out.

    Savings are against scratch, everything counted. Scratch itself is in no group. rows, bases: of `ranked`.
    """
    growing, controls = ranked(rows, bases, ("saving_total",))
    groups = {
        FROM_SOURCE: [row for row in growing if row["source_flops"] != 0],  # not a number: nobody knows them
        ON_THE_WAY: [row for row in growing if row["source_flops"] == 0],
        CONTROLS: [row for row in controls if row["method"] != "scratch"],
    }
    return {name: own for name, own in groups.items() if own}


def leading(rows: Sequence[Row], bases: Mapping[str, str] | None = None) -> list[str]:
    """Return the names of at most `MOST` methods that a figure shows in color: scratch, controls, and the largest savings.

    Controls take at most half of the places, so that figures of methods show methods.
    """
    growing, controls = ranked(rows, bases)
    scratch = [row for row in controls if row["method"] == "scratch"]
    first = [*scratch, *(row for row in controls if row not in scratch)][: MOST // 2]
    return [str(row["method"]) for row in [*first, *growing[: MOST - len(first)]]]


def is_control(method: str) -> bool:
    """Whether a method is scratch or a control, which grows nothing."""
    return method == "scratch" or (method in methods.names() and methods.load(method).control)


def _negative_saving(row: Row, keys: Sequence[str]) -> float:
    value = row[next(key for key in keys if key in row)]
    return math.inf if value is None or math.isnan(value) else -float(value)
