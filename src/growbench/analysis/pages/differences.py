"""Method against method: the one that saves most against every other growing method, as a part of savings.md."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from growbench.analysis import wording
from growbench.analysis.pages.markdown import grid
from growbench.analysis.ranking import ranked
from growbench.analysis.statistics.savings import AT_FIRST, NOT_REACHED

Row = Mapping[str, Any]
BEYOND = "more than can be read"  # of a method that is below the other's loss before its own first point
ENDS = ("", "_lo", "_hi")


def table(differences: pd.DataFrame, rows: Sequence[Row], bases: Mapping[str, str]) -> str:
    """Return the part of the page; empty with fewer than two growing methods. The CSV file has all pairs.

    rows: of the savings frame. bases: by method, the method that it is a variant of.
    """
    growing, _ = ranked(rows, bases)
    if len(growing) < 2:
        return ""
    first = str(growing[0]["method"])
    found = {row["other"]: row for row in map(lambda row: against(first, row), differences.to_dict("records")) if row}
    lines = [
        [
            str(row["other"]),
            wording.saving(row, "pair"),
            wording.p_value(row["p_holm"]),
            wording.yes_no(row["level"]),
            wording.percent(row["detectable"]),
        ]
        for row in (found[other["method"]] for other in growing[1:])
    ]
    head = [f"{first} against", f"saving of {first}", "p, Holm", "level within 2 % of FLOPs", "detectable"]
    return f"""\
## Method against method

{grid(head, lines)}
- Everything counted, paired by seed, at the lowest loss that both reach; p corrected by Holm for all pairs of \
methods. Two methods are level only if the table says so; a large p does not. `differences.csv` has every pair, and the \
differences of the final losses.
"""


def against(first: str, row: Row) -> dict[str, Any]:
    """Return a row of the differences frame as the saving of `first` against the other; empty if it is of another pair."""
    if first not in (row["method"], row["other"]):
        return {}
    saved = {end: row[f"saving{end}"] if not end else row[end[1:]] for end in ENDS}
    status = str(row["status"])
    if turned := first == row["other"]:
        saved = {"": _turned(saved[""]), "_lo": _turned(saved["_hi"]), "_hi": _turned(saved["_lo"])}
        status = {AT_FIRST: NOT_REACHED, NOT_REACHED: BEYOND}.get(status, status)
        saved = dict.fromkeys(ENDS) if status == NOT_REACHED else saved
    shown = {f"saving_pair{end}": value for end, value in saved.items()}
    other = row["method"] if turned else row["other"]
    return {**row, **shown, "other": other, "status_pair": status, "share_not_reached_pair": 0.0}


def _turned(saving: float | None) -> float | None:
    """Return what the other one saves: 1 - F_other / F = -s / (1 - s)."""
    return None if saving is None or pd.isna(saving) else -saving / (1 - saving)
