"""Figures of scores, one panel per task: curves over FLOPs where models of several budgets were scored, else dots."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from growbench.analysis.figures import axes as axis
from growbench.analysis.figures import figure
from growbench.analysis.figures.figure import GRAY
from growbench.analysis.figures.tables import Tables

ROOM = 2.5  # a floor is drawn if the axis grows by at most this factor to show it
DASHES = {
    "source": (),
    "majority": (6, 2),
    "random model": (1, 1),
    "bag of words": (3, 1, 1, 1),
    "chance": (6, 2),
}  # of floors
ROW = 0.125  # inches of a method in a dot chart


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One panel.

    title: of curves. short: of dots.
    rows: one per method and point: its fraction, its FLOPs, and its score as mean, lo and hi.
    column: of the FLOPs.
    scale: what scores are multiplied by.
    log: whether scores are drawn on a logarithmic axis.
    floors: scores that need no pre-training, by name, scaled.
    failed: number of failed runs.
    """

    title: str
    rows: pd.DataFrame
    column: str = "flops_total"
    short: str = ""
    scale: float = 100
    log: bool = False
    floors: Mapping[str, float] = field(default_factory=dict)
    failed: int = 0

    def interval(self, rows: pd.DataFrame) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return the scaled means of rows, and the lengths of their intervals below and above; 0 without one."""
        mean, lo, hi = (self.scale * rows[name].to_numpy(dtype=np.float64) for name in ("mean", "lo", "hi"))
        return mean, [np.nan_to_num(mean - lo).clip(min=0), np.nan_to_num(hi - mean).clip(min=0)]


def draw(tables: Tables, panels: Sequence[Panel], label: str, costs: str, scores: str) -> Figure:
    """Return the figure of panels. label: what is scored. costs, scores: labels of the axes."""
    several = any(panel.rows["point"].nunique() > 1 for panel in panels)
    return _curves(tables, panels, label, costs, scores) if several else _dots(tables, panels, label, scores)


def _curves(tables: Tables, panels: Sequence[Panel], label: str, costs: str, scores: str) -> Figure:
    rows, top = -(-len(panels) // 2), 0.53 + figure.legend_height(tables.methods)
    height = top + 0.67 + 1.45 * rows
    canvas = figure.canvas(height, tables, f"{label} against compute")
    figure.legend(canvas, tables, top=0.5)
    grid = canvas.add_gridspec(
        rows, 2, left=0.12, right=0.97, top=1 - (top + 0.3) / height, bottom=0.7 / height, hspace=0.5, wspace=0.36
    )
    for i, panel in enumerate(panels):
        axes = canvas.add_subplot(grid[i // 2, i % 2])
        _curve_panel(axes, tables, panel)
        _floors(axes, panel, vertical=False)
        axes.set_title(panel.title, fontsize=7 if len(panel.title) < 26 else 5.5)
    canvas.supxlabel(costs, y=0.27 / height, va="bottom", fontsize=7)
    canvas.supylabel(scores, x=0.005, fontsize=7.5)
    return canvas


def _curve_panel(axes: Axes, tables: Tables, panel: Panel) -> None:
    """Draw the scores of every method over FLOPs, each marker at what its model cost; at the left edge what cost nothing."""
    own, column = panel.rows, panel.column
    costs = own.loc[own[column] > 0, column]
    low, high = float(costs.min()), float(costs.max())
    edge = np.exp(max(0.08 * np.log(high / low), 0.1))
    start = low / max(edge**2, 1.5)  # the place of models that have cost nothing
    for method in tables.methods:
        rows = own[own["method"] == method].sort_values("fraction")
        if rows.empty:
            continue
        look, (mean, ends) = tables.look(method), panel.interval(rows)
        axes.errorbar(
            rows[column].replace(0.0, start), mean, yerr=ends, color=look.color, marker=look.marker, linestyle=look.line, ms=3.5,
            elinewidth=0.8, capsize=1.5, mec="white", mew=0.4,
        )  # fmt: skip
    axis.flops_axis(axes, low / edge, high * edge, "", most=3)
    if (own[column] == 0).any():
        ticks = [float(tick) for tick in axes.get_xticks()]
        axes.set_xticks([start, *ticks], ["0", *map(axis.power, ticks)])
        axes.set_xlim(left=start / edge)
    if panel.log:
        _logarithmic(axes, panel, vertical=False)


def _dots(tables: Tables, panels: Sequence[Panel], label: str, scores: str) -> Figure:
    rows = -(-len(panels) // 2)
    tall = ROW * len(tables.methods) + 0.1
    height = 0.75 + rows * (tall + 0.55) + 0.36
    canvas = figure.canvas(height, tables, f"{label} of the finished points")
    names = 0.08 + 0.052 * max(map(len, tables.methods))
    width = (figure.WIDTH - names - 0.3) / 2
    for i, panel in enumerate(panels):
        left = names + (i % 2) * (width + 0.18)
        bottom = height - 0.75 - (i // 2) * (tall + 0.55) - tall - 0.08
        axes = canvas.add_axes((left / figure.WIDTH, bottom / height, width / figure.WIDTH, tall / height))
        _dot_panel(axes, tables, panel)
        _floors(axes, panel, vertical=True)
        axes.set_title(panel.short or panel.title, fontsize=7, pad=11)
        axes.tick_params(axis="x", labelsize=6.5)
        if i % 2:
            axes.set_yticklabels([])
    canvas.supxlabel(scores, y=0.27 / height, va="bottom", fontsize=7)
    return canvas


def _dot_panel(axes: Axes, tables: Tables, panel: Panel) -> None:
    """Draw the scores as one row per method."""
    places = {method: -i for i, method in enumerate(tables.methods)}
    for method, rows in panel.rows.groupby("method"):
        look, (mean, ends) = tables.look(str(method)), panel.interval(rows)
        axes.errorbar(
            mean, [places[str(method)]] * len(mean), xerr=ends, color=look.color, marker=look.marker, ls="", ms=4,
            elinewidth=0.8, capsize=1.5, mec="white", mew=0.4,
        )  # fmt: skip
    axes.set_yticks(list(places.values()), list(places), fontsize=6)
    axes.set_ylim(-len(places) + 0.4, 0.6)
    axes.tick_params(axis="y", length=0)
    if panel.log:
        _logarithmic(axes, panel, vertical=True)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))


def _logarithmic(axes: Axes, panel: Panel, vertical: bool) -> None:
    """Make the axis of scores logarithmic, from the lowest mean to the highest; intervals are cut where they leave it."""
    means = panel.scale * panel.rows["mean"].dropna().to_numpy(dtype=np.float64)
    low, high = means.min(), means.max()
    edge = np.exp(max(0.3 * np.log(high / low), 0.05))
    own = axes.xaxis if vertical else axes.yaxis
    (axes.set_xscale if vertical else axes.set_yscale)("log", nonpositive="clip")
    (axes.set_xlim if vertical else axes.set_ylim)(low / edge, high * edge)
    own.set_major_locator(FixedLocator(axis.round_ticks(low / edge, high * edge, 3)))
    own.set_minor_locator(NullLocator())
    own.set_major_formatter(FuncFormatter(lambda value, _: axis.power(value) if value >= 1e4 else f"{value:g}"))


def _floors(axes: Axes, panel: Panel, vertical: bool) -> None:
    """Draw floors as lines and name them and the failed runs; a floor that would flatten the scores is only named."""
    found, failed = panel.floors, panel.failed
    near: dict[str, float] = {}
    if not panel.log:
        low, high = axes.get_xlim() if vertical else axes.get_ylim()
        near = {name: value for name, value in found.items() if low - value <= ROOM * (high - low)}
        pad = 0.06 * (high - low)
        low, high = min(low, *near.values(), np.inf) - pad, max(high, *near.values(), -np.inf) + pad
        (axes.set_xlim if vertical else axes.set_ylim)(low, high)
    for name, value in near.items():
        (axes.axvline if vertical else axes.axhline)(value, color=GRAY, lw=0.8, ls=(0, DASHES[name] or None), zorder=1)
    far = [f"{'←' if vertical else '↓'} {name} {value:.1f}" for name, value in found.items() if name not in near]
    lines = [*far, *(f"{name} {value:.1f}" for name, value in near.items()), *([f"{failed} failed"] if failed else [])]
    text = (", " if vertical and len(lines) < 3 else "\n").join(lines)
    place = (1.0, 1.015) if vertical else (0.98, 0.03)
    axes.annotate(
        text, place, xycoords="axes fraction", fontsize=5.5, color=GRAY, ha="right", va="bottom", zorder=40,
        bbox={"facecolor": "white", "alpha": 0.7, "pad": 0.3, "edgecolor": "none"},
    )  # fmt: skip
