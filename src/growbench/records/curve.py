"""The curve of a run, a CSV file beside its record: its columns, writing and reading."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from growbench.errors import GrowBenchError
from growbench.runtime import durable

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "step", "phase", "stage", "point", "flops", "flops_total", "tokens", "lr", "train_loss", "valid_loss",
    "wall_seconds",
)  # fmt: skip


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a curve, atomically. rows: values by column, in the order of training; an empty string if not measured."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    durable.write_text(path, text.getvalue())


def read(path: Path) -> "pd.DataFrame":
    """Return a curve's COLUMNS. Raises GrowBenchError if the file is missing, damaged or lacks a column."""
    import pandas as pd  # not needed for training, and slow to import

    try:
        table = pd.read_csv(path)
    except FileNotFoundError as error:
        raise GrowBenchError(f"{path}: no such curve; delete the record beside it and run its job again") from error
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise GrowBenchError(
            f"{path}: not a complete CSV file; delete it and its record, then run the job again"
        ) from error
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise GrowBenchError(
            f"{path}: column '{missing[0]}' is missing; delete it and its record, then run the job again"
        )
    return table[list(COLUMNS)].copy()
