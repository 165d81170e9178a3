"""growbench show: a study's savings in a table that fits a terminal, and where its results are."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from growbench.analysis.pages.markdown import number, saving_text
from growbench.cli.tables import table
from growbench.errors import GrowBenchError
from growbench.study.study import Study

HEAD = ("method", "saving, everything counted", "saving, target only", "final loss")
CONTROLS = ("baseline", "control")  # what the `paper` of such a method says
WIDTH = 80


def lines(study: Study) -> Iterator[str]:
    """Yield the table, what its numbers mean, and three paths. Raises GrowBenchError if the study has no tables yet."""
    layout = study.layout
    rows = _read(layout.tables / "savings.csv")
    controls = [row for row in rows if study.method(row["method"]).paper in CONTROLS]
    growing = [row for row in rows if row not in controls]
    yield table(HEAD, {"": map(_cells, growing), "controls": map(_cells, controls)}, width=WIDTH)
    yield ""
    yield "Saving: FLOPs saved to reach the loss that scratch ends with [95 % interval]."
    yield f"Seeds: {rows[0]['n']}. Loss: nats per predicted token."
    yield f"Tables:  {layout.tables}"
    yield f"Figures: {layout.figure('savings', 'png').parent}"
    yield f"Report:  {layout.page('savings').parent}"


def _read(path: Path) -> list[dict[str, Any]]:
    """Return the rows of savings.csv, the largest saving (everything counted) first, those without one last."""
    if not path.is_file():
        raise GrowBenchError(f"{path}: no such table yet; run snakemake on this study first")
    rows: list[dict[str, Any]] = [{str(k): v for k, v in row.items()} for row in pd.read_csv(path).to_dict("records")]
    return sorted(rows, key=lambda row: (math.isnan(row["saving_total"]), -row["saving_total"]))


def _cells(row: dict[str, Any]) -> list[str]:
    loss = number(row["final_loss"], 3)
    if not pd.isna(row["final_loss_lo"]):
        loss += f" [{number(row['final_loss_lo'], 3)}, {number(row['final_loss_hi'], 3)}]"
    return [row["method"], *(saving_text(row, name, digits=0) for name in ("total", "target_only")), loss]
