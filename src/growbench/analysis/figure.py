"""What every figure shares: its tables, its look at column width, its footer, and files with reproducible bytes.

A figure's script defines `draw(tables) -> Figure` and ends with `figure.script(draw, globals())`. It runs under
Snakemake's `script:` (inputs and outputs by name) and by hand: `python <figure>.py results/<study>/tables <folder>`.
"""

import itertools
import math
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from growbench.analysis import markdown
from growbench.analysis.style import style
from growbench.errors import GrowBenchError

WIDTH = 3.5
DPI = 300
GREY = "#666666"
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
NAMES = ("points", "savings", "scores", "curves", "runs")
FINE = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
DIGITS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tables:
    """A study's tables as frames; `points` and `curves` without the source's own run."""

    points: pd.DataFrame
    savings: pd.DataFrame
    scores: pd.DataFrame
    curves: pd.DataFrame
    runs: pd.DataFrame

    @property
    def methods(self) -> list[str]:
        """Return the methods in the order of the savings table."""
        return [str(name) for name in self.savings["method"]]

    @property
    def subtitle(self) -> str:
        """Return study, scale, number of seeds and protocol on two lines."""
        first = self.points.iloc[0]
        n = int(self.savings["n"].max())
        seeds = "1 seed, no intervals" if n == 1 else f"n = {n} seeds, bars: 95 % bootstrap"
        return f"{first['study']}: {markdown.scale(self.points)}\nprotocol {first['protocol']}, {seeds}"


def read(paths: dict[str, Path]) -> Tables:
    """Read the tables by name; raise GrowBenchError naming a missing file."""
    found = {}
    for name, path in paths.items():
        if not path.is_file():
            raise GrowBenchError(f"{path}: no such table; run `growbench aggregate` for the study first")
        found[name] = pd.read_csv(path, dtype={"source": str, "target": str, "commit": str}, low_memory=False)
    for name in ("points", "curves"):
        found[name] = found[name][found[name]["method"] != "source"]
    return Tables(**found)


def script(draw: Callable[[Tables], Figure], scope: dict[str, Any]) -> None:
    """Run a figure's script: under Snakemake (`scope` holds `snakemake`) or by hand with a tables and a figures folder."""
    job = scope.get("snakemake")
    if job is not None:
        paths = {name: Path(getattr(job.input, name)) for name in NAMES}
        outputs = [Path(job.output.png), Path(job.output.pdf)]
    elif len(sys.argv) == 3:
        paths = {name: Path(sys.argv[1]) / f"{name}.csv" for name in NAMES}
        stem = Path(scope["__file__"]).stem
        outputs = [Path(sys.argv[2]) / f"{stem}.{kind}" for kind in ("png", "pdf")]
    else:
        raise SystemExit(f"usage: python {Path(scope['__file__']).name} results/<study>/tables figures/<study>")
    try:
        with matplotlib.rc_context(LOOK):
            save(draw(read(paths)), outputs)
    except GrowBenchError as error:
        raise SystemExit(f"growbench: {error}") from error


def save(figure: Figure, paths: Sequence[Path]) -> None:
    """Write the figure once per path (format from the suffix), atomically; the bytes carry no date and no version."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = path.suffix[1:]
        bare = {"Software": None} if kind == "png" else {"Creator": None, "Producer": None, "CreationDate": None}
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        figure.savefig(temporary, format=kind, dpi=DPI, metadata=bare)
        os.replace(temporary, path)


def canvas(height: float, tables: Tables, title: str) -> Figure:
    """Return a column-wide figure, `height` inches high, with title, subtitle and the provenance as footer."""
    figure = Figure(figsize=(WIDTH, height))
    figure.text(0.02, 1 - 0.05 / height, title, fontsize=9, fontweight="bold", va="top")
    figure.text(0.02, 1 - 0.24 / height, tables.subtitle, color=GREY, va="top", linespacing=1.3)
    for i, line in enumerate(reversed(textwrap.wrap(f"records: {markdown.provenance(tables.points)}", 92))):
        figure.text(0.02, (0.04 + 0.09 * i) / height, line, fontsize=5, color=GREY)
    return figure


def legend(figure: Figure, methods: Sequence[str], top: float, columns: int = 3, lines: bool = True) -> None:
    """Draw one legend for all panels, its top `top` inches below the figure's."""
    handles = [
        Line2D([], [], color=s.colour, marker=s.marker, linestyle=s.line if lines else "", label=name)
        for name, s in ((name, style(name)) for name in methods)
    ]
    height = figure.get_figheight()
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.0, 1 - top / height),
        ncols=columns,
        fontsize=7,
        columnspacing=1.0,
        handlelength=2.6,
        handletextpad=0.4,
        labelspacing=0.3,
    )


def legend_height(methods: Sequence[str], columns: int = 3) -> float:
    """Return the legend's height in inches."""
    return 0.08 + 0.145 * -(-len(methods) // columns)


def flops_axis(axes: Axes, low: float, high: float, label: str, most: int = 5) -> None:
    """Make x logarithmic from `low` to `high` FLOPs with at most `most` round ticks."""
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(round_ticks(low, high, most)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(power))
    axes.set_xlabel(label)


def round_ticks(low: float, high: float, most: int) -> list[float]:
    """Return round ticks of a logarithmic axis: as fine as `most` of them, with room for their labels, allow."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)

    def ticks(steps: Sequence[float]) -> list[float]:
        return [m * 10.0**k for k in decades for m in steps if low <= m * 10.0**k <= high]

    room = math.log(high / low) / (most + 0.8)
    for steps in (FINE, (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        found = ticks(steps)
        if 2 <= len(found) <= most and all(math.log(b / a) >= room for a, b in itertools.pairwise(found)):
            return found
    powers, fine = ticks((1,)), ticks(FINE)
    if len(powers) > most:
        return powers[:: -(-len(powers) // most)]
    inner = [t for t in fine if 0.05 < math.log(t / low) / math.log(high / low) < 0.85] or fine
    return [inner[0], inner[-1]] if len(inner) > 1 else inner


def power(value: float, _: int | None = None) -> str:
    """Return e.g. `2×10¹³`."""
    mantissa, exponent = f"{value:.1e}".split("e")
    text = f"10{str(int(exponent)).translate(DIGITS)}"
    return text if mantissa == "1.0" else f"{float(mantissa):g}×{text}"
