"""Figures drawn from a study's tables, and what is written on them."""

import runpy
from pathlib import Path
from typing import Any

from growbench.analysis import outputs
from growbench.analysis.figures import tables as figure_tables

SCRIPTS = Path(__file__).parents[2] / "workflow" / "figures"


def read(tables: Path) -> figure_tables.Tables:
    there = [name for name in outputs.OPTIONAL if (tables / f"{name}.csv").is_file()]
    return figure_tables.read({name: tables / f"{name}.csv" for name in (*outputs.OF_FIGURES, *there)})


def draw(found: figure_tables.Tables, name: str) -> Any:
    return runpy.run_path(str(SCRIPTS / f"{name}.py"))["draw"](found)


def drawn(tables: Path, name: str) -> Any:
    return draw(read(tables), name)


def texts(drawn: Any) -> str:
    panels = [
        t.get_text() for axes in drawn.axes for t in [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]
    ]
    titles = [axes.get_title(loc="left") for axes in drawn.axes]
    return "\n".join([*(t.get_text() for t in drawn.texts), *panels, *titles])
