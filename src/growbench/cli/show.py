"""growbench show: a study's savings in a table that fits a terminal, and where its results are."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from growbench.analysis import captions, wording
from growbench.analysis.frames.accounting import FRONTIER
from growbench.analysis.ranking import Row, ranked
from growbench.cli.tables import table
from growbench.errors import GrowBenchError, shown
from growbench.study.study import Study

HEAD = ("method", "against frontier", "against scratch", "target only", "loss")
SHOWN = (FRONTIER, "total", "target_only")
WIDTH = 80
COLUMNS = {
    "method",
    "base",
    "n",
    "tpp",
    "source_tpp",
    "final_loss",
    *(f"status_{name}" for name in SHOWN),
}  # a table without one is damaged


def lines(study: Study) -> Iterator[str]:
    """Yield the table, what its numbers mean, and three paths. Raises GrowBenchError if the study has no tables yet."""
    layout = study.layout
    rows = _read(layout.tables / "savings.csv")
    bases = {row["method"]: row["base"] for row in rows}
    growing, controls = ranked(rows, bases)
    yield table(HEAD, {"": map(_cells, growing), "controls": map(_cells, controls)}, width=WIDTH)
    yield ""
    yield "FLOPs saved at equal loss [95 % t interval]. Target only: the source is free."
    yield "Frontier: the best model from scratch, of any size. Scratch: the target's size."
    yield f"Seeds: {rows[0]['n']}. Loss: nats per {'image' if study.images else 'predicted token'}."
    yield captions.tokens(rows, bases)
    yield captions.placebo(rows, bases)
    yield f"Tables:  {shown(layout.tables)}"
    yield f"Figures: {shown(layout.figure('savings', 'png').parent)}"
    yield f"Report:  {shown(layout.page('savings').parent)}"


def _read(path: Path) -> list[dict[str, Any]]:
    """Return the rows of savings.csv. Raises GrowBenchError if it is missing or damaged."""
    if not path.is_file():
        raise GrowBenchError(f"{path}: no such table yet; run snakemake on this study first")
    try:
        table = pd.read_csv(path)
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError):
        table = pd.DataFrame()
    if table.empty or not set(table) >= COLUMNS:
        raise GrowBenchError(f"{path}: not a complete table; run `growbench aggregate` on this study again")
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def _cells(row: Row) -> list[str]:
    bare = {**row, "saving_target_only_lo": None}  # there is room for two intervals
    savings = [wording.saving(bare, name, digits=0) for name in SHOWN]
    return [row["method"], *savings, wording.number(row["final_loss"], 3)]
