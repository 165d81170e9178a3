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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from growbench.analysis.figures.style import Style, style
from growbench.analysis.pages import markdown
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
NAMES = ("points", "savings", "scores", "curves", "runs", "plans")
ATTENTION = ("attention_maps", "attention_distance")  # of studies that ask for them
FINE = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
DIGITS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tables:
    """A study's tables as frames; `points`, `scores`, `curves` and `plans` without the source's own run, whose plan is `source`.
    Those of attention are empty in a study that does not ask for them.
    """

    points: pd.DataFrame
    savings: pd.DataFrame
    scores: pd.DataFrame
    curves: pd.DataFrame
    runs: pd.DataFrame
    plans: pd.DataFrame
    source: pd.DataFrame
    attention_maps: pd.DataFrame = field(default_factory=pd.DataFrame)
    attention_distance: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def methods(self) -> list[str]:
        """Return the methods in the order of the savings table."""
        return [str(name) for name in self.savings["method"]]

    @property
    def bases(self) -> dict[str, str]:
        """Return by method the one that it is a variant of, or itself."""
        return dict(zip(self.plans["method"], self.plans["base"], strict=True))

    def look(self, method: str) -> Style:
        """Return a method's colour, marker and dash, the same in every figure; a variant has its base's colour."""
        return style(method, self.bases.get(method))

    def subtitle(self, bars: str) -> str:
        """Return study, scale, number of seeds and protocol on two lines; bars: what is drawn of several seeds."""
        first = self.points.iloc[0]
        n = int(self.savings["n"].max())
        seeds = "1 seed, no intervals" if n == 1 else f"n = {n} seeds, {bars}"
        return f"{first['study']}: {markdown.scale(self.points)}\nprotocol {first['protocol']}, {seeds}"


def read(paths: dict[str, Path]) -> Tables:
    """Read the tables by name; raise GrowBenchError naming a missing file."""
    found = {}
    for name, path in paths.items():
        if not path.is_file():
            raise GrowBenchError(f"{path}: no such table; run `growbench aggregate` for the study first")
        found[name] = pd.read_csv(path, dtype={"source": str, "target": str, "commit": str}, low_memory=False)
    found["source"] = found["plans"][found["plans"]["method"] == "source"]
    for name in ("points", "scores", "curves", "plans"):
        found[name] = found[name][found[name]["method"] != "source"]
    return Tables(**found)


def script(draw: Callable[[Tables], Figure], scope: dict[str, Any]) -> None:
    """Run a figure's script: under Snakemake (`scope` holds `snakemake`) or by hand with a tables and a figures folder."""
    job = scope.get("snakemake")
    if job is not None:
        paths = {name: Path(getattr(job.input, name)) for name in (*NAMES, *ATTENTION) if hasattr(job.input, name)}
        outputs = [Path(job.output.png), Path(job.output.pdf)]
    elif len(sys.argv) == 3:
        paths = {name: Path(sys.argv[1]) / f"{name}.csv" for name in (*NAMES, *ATTENTION)}
        paths = {name: path for name, path in paths.items() if name in NAMES or path.is_file()}
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


def canvas(height: float, tables: Tables, title: str, bars: str = "bars: 95 % bootstrap") -> Figure:
    """Return a column-wide figure, `height` inches high, with title, subtitle and the provenance as footer.

    bars: what is drawn of several seeds.
    """
    figure = Figure(figsize=(WIDTH, height))
    figure.text(0.02, 1 - 0.05 / height, title, fontsize=9, fontweight="bold", va="top")
    figure.text(0.02, 1 - 0.24 / height, tables.subtitle(bars), color=GREY, va="top", linespacing=1.3)
    for i, line in enumerate(reversed(textwrap.wrap(f"records: {markdown.provenance(tables.points)}", 92))):
        figure.text(0.02, (0.04 + 0.09 * i) / height, line, fontsize=5, color=GREY)
    return figure


def legend(
    figure: Figure, tables: Tables, top: float, methods: Sequence[str] = (), columns: int = 3, lines: bool = True
) -> None:
    """Draw one legend for all panels, its top `top` inches below the figure's; methods: all of them where none is given."""
    handles = [
        Line2D([], [], color=s.colour, marker=s.marker, linestyle=s.line if lines else "", label=name)
        for name, s in ((name, tables.look(name)) for name in methods or tables.methods)
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


def signed(value: float, digits: int = 2) -> str:
    """Return a difference with its sign, and zero without one."""
    text = f"{value:+.{digits}f}".replace("-", "−")
    return text[1:] if not float(f"{value:.{digits}f}") else text


def end_labels(axes: Axes, ends: Sequence[tuple[str, float, float, str]], inch: float, size: float = 6.5) -> None:
    """Write names right of the axes beside their lines' ends (name, x, y, colour), moved apart where they would overlap.

    inch: the axes' height in inches.
    """
    low, high = axes.get_ylim()
    rows = sorted(ends, key=lambda row: row[2])
    gap = 1.25 * size / 72 / inch
    wanted = [(y - low) / (high - low) for _, _, y, _ in rows]
    for (name, x, y, colour), place in zip(rows, apart(wanted, gap), strict=True):
        axes.annotate(
            name, (x, y), xytext=(1.03, place), textcoords="axes fraction", fontsize=size, color=colour, va="center",
            annotation_clip=False, arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.5, "shrinkA": 0, "shrinkB": 3, "relpos": (0, 0.5)},
        )  # fmt: skip


def apart(places: Sequence[float], gap: float) -> list[float]:
    """Return rising places moved as little as it takes to be `gap` apart, by merging neighbours into even groups."""
    groups: list[list[float]] = []
    for place in places:
        groups.append([place])
        while (
            len(groups) > 1
            and _middle(groups[-1]) - _middle(groups[-2]) < gap * (len(groups[-1]) + len(groups[-2])) / 2
        ):
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_middle(group) + gap * (i - (len(group) - 1) / 2) for group in groups for i in range(len(group))]


def _middle(values: Sequence[float]) -> float:
    return sum(values) / len(values)


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
