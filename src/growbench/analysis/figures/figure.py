"""What every figure shares: its look at column width, its footer, its legend, and files with reproducible bytes.

The script of a figure defines `draw(tables) -> Figure` and ends with `figure.script(draw, globals())`. It runs under
Snakemake's `script:` (inputs and outputs by name) and by hand: `python <figure>.py results/<study>/tables <folder>`.
"""

import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from growbench.analysis.figures.tables import Tables, read
from growbench.analysis.outputs import OF_FIGURES, OPTIONAL
from growbench.errors import GrowBenchError, shown
from growbench.runtime.durable import refuse_links
from growbench.runtime.owned import keep_only

WIDTH = 3.5  # inches
COLUMNS = 3  # of the legend, if its names have room
MARK, LETTER = 0.4, 0.049  # inches of the legend: a line with its marker and spaces, and a letter of its name
DPI = 300
GRAY = "#666666"
FOOTER_SIZES = (5.0, 4.7, 4.4)  # points
LETTERS = 450  # of one point that a line of the footer holds
LOOK: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.5,
    "pdf.fonttype": 42,
}


def script(draw: Callable[[Tables], Figure], scope: dict[str, Any]) -> None:
    """Run the script of a figure: under Snakemake (`scope` holds `snakemake`), or by hand with two folders as arguments."""
    job = scope.get("snakemake")
    if job is not None:
        paths = {name: Path(getattr(job.input, name)) for name in (*OF_FIGURES, *OPTIONAL) if hasattr(job.input, name)}
        outputs = [Path(job.output.png), Path(job.output.pdf)]
    elif len(sys.argv) == 3:
        paths = {name: Path(sys.argv[1]) / f"{name}.csv" for name in (*OF_FIGURES, *OPTIONAL)}
        paths = {name: path for name, path in paths.items() if name in OF_FIGURES or path.is_file()}
        stem = Path(scope["__file__"]).stem
        outputs = [Path(sys.argv[2]) / f"{stem}.{kind}" for kind in ("png", "pdf")]
    else:
        raise SystemExit(f"usage: python {Path(scope['__file__']).name} results/<study>/tables figures/<study>")
    try:
        with matplotlib.rc_context(LOOK):
            save(draw(read(paths)), outputs)
        if job is not None:
            keep_only(outputs[0].parent, job.params.figures, [path.suffix for path in outputs])
    except GrowBenchError as error:
        raise SystemExit(f"growbench: {shown(error)}") from error


def save(figure: Figure, paths: Sequence[Path]) -> None:
    """Write the figure once per path (format from the suffix), atomically; the files hold no date and no version."""
    for path in paths:
        refuse_links(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = path.suffix[1:]
        bare = {"Software": None} if kind == "png" else {"Creator": None, "Producer": None, "CreationDate": None}
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        figure.savefig(temporary, format=kind, dpi=DPI, metadata=bare)
        os.replace(temporary, path)


def canvas(height: float, tables: Tables, title: str, bars: str = "bars: 95 % t intervals") -> Figure:
    """Return a column-wide figure, `height` inches high, with title, subtitle and provenance as the footer.

    bars: what the figure shows of several seeds.
    """
    figure = Figure(figsize=(WIDTH, height))
    figure.text(0.02, 1 - 0.05 / height, title, fontsize=9, fontweight="bold", va="top")
    figure.text(0.02, 1 - 0.24 / height, tables.subtitle(bars), color=GRAY, va="top", linespacing=1.3)
    size, lines = _footer(tables.footer)
    for i, line in enumerate(reversed(lines)):
        figure.text(0.02, (0.04 + 0.09 * i) / height, line, fontsize=size, color=GRAY)
    return figure


def _footer(text: str) -> tuple[float, list[str]]:
    """Return the size of the footer's letters, and its lines: two, for which figures leave room, if small letters suffice."""
    found = ((size, textwrap.wrap(text, round(LETTERS / size))) for size in FOOTER_SIZES)
    return next((own for own in found if len(own[1]) <= 2), (FOOTER_SIZES[0], textwrap.wrap(text, 90)))


def legend(figure: Figure, tables: Tables, top: float) -> None:
    """Draw one legend of all methods for all panels. top: inches between the top of the figure and the legend."""
    looks = {name: tables.look(name) for name in tables.methods}
    handles = [
        Line2D([], [], color=look.color, marker=look.marker, linestyle=look.line, label=name)
        for name, look in looks.items()
    ]
    height = figure.get_figheight()
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.0, 1 - top / height),
        ncols=_columns(tables.methods),
        fontsize=7,
        columnspacing=1.0,
        handlelength=2.6,
        handletextpad=0.4,
        labelspacing=0.3,
    )


def legend_height(methods: Sequence[str]) -> float:
    """Return the legend's height in inches."""
    return 0.08 + 0.145 * -(-len(methods) // _columns(methods))


def _columns(methods: Sequence[str]) -> int:
    """Return in how many columns a legend of these names fits the figure's width."""
    for columns in range(COLUMNS, 1, -1):
        rows = -(-len(methods) // columns)
        longest = [max(map(len, methods[start : start + rows])) for start in range(0, len(methods), rows)]
        if sum(MARK + LETTER * letters for letters in longest) <= WIDTH:
            return columns
    return 1
