"""The curve of a run, a CSV file beside its record: its columns, writing and reading."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from growbench.errors import GrowBenchError
from growbench.records import beside

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "step", "phase", "stage", "point", "flops", "flops_total", "tokens", "lr", "train_loss", "valid_loss",
    "wall_seconds",
)  # fmt: skip


WHOLE, WORDS = ("step", "stage", "tokens"), ("phase", "point")
MAY_BE_EMPTY = ("point", "flops_total", "train_loss", "valid_loss")
RISING = ("step", "stage", "flops", "flops_total", "tokens")  # along the trunk, and along each cool-down


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> str:
    """Write a curve, atomically, and return its SHA-256, which belongs into the run's record.

    rows: values by column, in the order of training; an empty string if not measured.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return beside.write(path, text.getvalue())


def read(path: Path, sha256: str) -> "pd.DataFrame":
    """Return a curve. Raises GrowBenchError if the file is missing, not a curve, or not the one of its record.

    sha256: of the file, as its record has it.
    """
    return _parsed(path, beside.read(path, sha256, "curve"))


def _parsed(path: Path, data: bytes) -> "pd.DataFrame":
    """Return the table in a file's bytes. Raises GrowBenchError if it is not a curve."""
    import pandas as pd  # not needed for training, and slow to import

    kinds = {name: "int64" if name in WHOLE else str if name in WORDS else "float64" for name in COLUMNS}
    try:
        table = pd.read_csv(io.BytesIO(data), dtype=kinds)
    except (ValueError, OverflowError) as error:
        raise GrowBenchError(f"{path}: not a complete CSV file of numbers; {beside.REMEDY}") from error
    if fault := _fault(table):
        raise GrowBenchError(f"{path}: {fault}; {beside.REMEDY}")
    return table


def _fault(table: "pd.DataFrame") -> str:
    """Return in words what makes a table no curve; empty if nothing does."""
    import numpy as np

    if list(table) != list(COLUMNS):
        wrong = [name for name in COLUMNS if name not in table]
        return f"column '{wrong[0]}' is missing" if wrong else f"its columns are not {', '.join(COLUMNS)}"
    if table.empty:
        return "it has no rows"
    if unknown := set(table["phase"]) - {"trunk", "cooldown"}:
        return f"phase {min(map(str, unknown))!a} is not trunk or cooldown"
    for name in (name for name in COLUMNS if name not in WORDS):
        values = table[name].dropna() if name in MAY_BE_EMPTY else table[name]
        if not (np.isfinite(values).all() and (values >= 0).all()):
            return f"column '{name}' has a value that is not a number of at least 0"
    for _, rows in table.groupby(table["phase"] + " " + table["point"].fillna("")):
        for name in RISING:
            if not rows[name].dropna().is_monotonic_increasing:
                return f"column '{name}' falls from one row to the next"
    return ""
