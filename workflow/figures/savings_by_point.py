"""Saving against tokens per parameter: everything counted, against the from-scratch frontier, one panel per method."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from growbench.analysis.figures import axes as axis
from growbench.analysis.figures import figure
from growbench.analysis.figures.figure import GRAY
from growbench.analysis.figures.tables import Tables
from growbench.analysis.frames.accounting import FRONTIER
from growbench.analysis.ranking import is_control

PLACEBO = "placebo"
COLUMNS = 3
TALL, GAP = 0.68, 0.3  # inches of a panel, and between two


def against_frontier(tables: Tables) -> pd.DataFrame:
    """Return the rows of the frontier, with where they lie as y, low and high."""
    rows = tables.savings_by_point
    rows = rows[rows["accounting"] == FRONTIER].sort_values("tpp")
    return rows.assign(
        **{to: axis.saving_height(rows[name]) for to, name in (("y", "saving"), ("low", "lo"), ("high", "hi"))}
    )


def limits(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the y axis: all savings and 0, and their intervals as far as they do not flatten them."""
    values = [*rows["y"].dropna(), 0.0]
    low, high = min(values), max(values)
    span = max(high - low, 0.05)
    low, high = (
        max(low - span, min([*rows["low"].dropna(), low])),
        min(high + span, max([*rows["high"].dropna(), high])),
    )
    room = (high - low) or span  # nothing may have been saved
    return low - 0.12 * room, high + 0.08 * room


def panel(axes: Axes, tables: Tables, rows: pd.DataFrame, method: str) -> None:
    """Draw one method over the placebo."""
    axes.axhline(0, color="black", lw=0.7)
    placebos = [name for name, base in tables.bases.items() if base == PLACEBO and name != method]
    for name in placebos:
        axis.saving_line(axes, rows[rows["method"] == name], "#999999", ".", 2)
    look = tables.look(method)
    axis.saving_line(axes, rows[rows["method"] == method], look.color, look.marker, 3.5)
    axes.set_title(method, fontsize=6.5 if len(method) < 17 else 5.5, color=look.color, pad=2)


def draw(tables: Tables) -> Figure:
    """Return the figure; without a saving against the frontier, it says so."""
    rows = against_frontier(tables)
    title = "Saving against the from-scratch frontier"
    if not rows["y"].notna().any():
        canvas = figure.canvas(1.2, tables, title)
        canvas.text(0.02, 0.3, "no finished point of this study has a saving against the frontier")
        return canvas
    shown = [name for name in tables.methods if name in set(rows["method"])]
    shown.sort(key=lambda name: is_control(tables.bases.get(name, name)))
    lines = -(-len(shown) // COLUMNS)
    top, bottom = 0.86, 0.62
    height = top + lines * (TALL + GAP) + bottom
    canvas = figure.canvas(height, tables, title, "bands: 95 % t")
    left, right = 0.5 / figure.WIDTH, 0.98
    grid = canvas.add_gridspec(
        lines, COLUMNS, left=left, right=right, top=1 - (top + 0.1) / height, bottom=(bottom - 0.06) / height,
        hspace=GAP / TALL, wspace=0.1,
    )  # fmt: skip
    low, high = limits(rows)
    tpp = rows.loc[rows["method"].isin(shown), "tpp"]
    for i, method in enumerate(shown):
        axes = canvas.add_subplot(grid[i // COLUMNS, i % COLUMNS])
        axes.set_ylim(low, high)
        panel(axes, tables, rows, method)
        axes.set_ylim(low, high)
        _axes(axes, (float(tpp.min()), float(tpp.max())), first=i % COLUMNS == 0, last=i + COLUMNS >= len(shown))
    canvas.supylabel("saving, everything counted (%)", x=0.005, y=0.5 * (1 + (bottom - top) / height), fontsize=7)
    canvas.supxlabel(
        "tokens per parameter of the target, from scratch at equal FLOPs", y=0.24 / height, va="bottom", fontsize=7
    )
    _legend(canvas, tables)
    return canvas


def _axes(axes: Axes, tpp: tuple[float, float], first: bool, last: bool) -> None:
    """Make x logarithmic in tokens per parameter and y in savings; labels at the edge of the grid only."""
    low, high = tpp[0] / 1.25, tpp[1] * 1.25
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(axis.round_ticks(low, high, 3)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.saving_axis(axes)
    axes.tick_params(labelsize=6, labelleft=first, labelbottom=last, length=2, pad=1.5)


def _legend(canvas: Figure, tables: Tables) -> None:
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=GRAY, marker="x", ls="", ms=3.5, label="not reached"),
        Line2D([], [], color=GRAY, marker=2, ls="", ms=4, label="at least"),
    ]
    has_placebo = PLACEBO in tables.bases.values()
    handles.append(Patch(color="#999999", alpha=0.5, lw=0, label="placebo" if has_placebo else "no placebo was run"))
    canvas.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.0, 1 - 0.5 / canvas.get_figheight()), ncols=3, fontsize=6.5,
        handletextpad=0.3, columnspacing=1.2,
    )  # fmt: skip


if __name__ == "__main__":
    figure.script(draw, globals())
