"""Development-set scores: against FLOPs if a study has several evaluated points, else one dot per method."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from growbench.analysis.figures import axes as axis
from growbench.analysis.figures import figure
from growbench.analysis.figures.figure import GRAY
from growbench.analysis.figures.tables import Tables
from growbench.analysis.frames.scores import AVERAGE

ROOM = 2.5  # a floor is drawn if the axis grows by at most this factor to show it
FLOORS = {"majority": (6, 2), "random model": (1, 1), "bag of words": (3, 1, 1, 1)}  # and the dashes of their lines
ROW = 0.125  # inches of a method in a dot chart
COSTS = (("flops", "Average, target only"), ("flops_total", "Average, all counted"))
CURVES, DOTS = "{} against compute", "{} of the finished points"


def floors(rows: pd.DataFrame) -> dict[str, float]:
    """Return the floors that these rows of one task have, times 100."""
    found = {name: rows[name.replace(" ", "_")] for name in FLOORS if name.replace(" ", "_") in rows}
    return {name: 100 * float(values.mean()) for name, values in found.items() if values.notna().any()}


def interval(rows: pd.DataFrame) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the means of rows, times 100, and the lengths of their intervals below and above; 0 without one."""
    mean, lo, hi = (100 * rows[name].to_numpy(dtype=np.float64) for name in ("mean", "lo", "hi"))
    return mean, [np.nan_to_num(mean - lo).clip(min=0), np.nan_to_num(hi - mean).clip(min=0)]


def curves(axes: Axes, tables: Tables, own: pd.DataFrame, column: str) -> None:
    """Draw one task's scores over one accounting's FLOPs, each marker at what its model cost."""
    low, high = float(own[column].min()), float(own[column].max())
    edge = np.exp(max(0.08 * np.log(high / low), 0.1))
    for method in tables.methods:
        rows = own[own["method"] == method].sort_values("fraction")
        if rows.empty:
            continue
        look, (mean, ends) = tables.look(method), interval(rows)
        axes.errorbar(
            rows[column], mean, yerr=ends, color=look.color, marker=look.marker, linestyle=look.line, ms=3.5,
            elinewidth=0.8, capsize=1.5, mec="white", mew=0.4,
        )  # fmt: skip
    axis.flops_axis(axes, low / edge, high * edge, "", most=3)


def dots(axes: Axes, tables: Tables, own: pd.DataFrame) -> None:
    """Draw one task's scores as one row per method."""
    places = {method: -i for i, method in enumerate(tables.methods)}
    for method, rows in own.groupby("method"):
        look, (mean, ends) = tables.look(str(method)), interval(rows)
        axes.errorbar(
            mean, [places[str(method)]] * len(mean), xerr=ends, color=look.color, marker=look.marker, ls="", ms=4,
            elinewidth=0.8, capsize=1.5, mec="white", mew=0.4,
        )  # fmt: skip
    axes.set_yticks(list(places.values()), list(places), fontsize=6)
    axes.set_ylim(-len(places) + 0.4, 0.6)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(4))


def draw_floors(axes: Axes, found: Mapping[str, float], vertical: bool, failed: int) -> None:
    """Draw floors as lines and name them and the failed runs; a floor that would flatten the scores is only named."""
    low, high = axes.get_xlim() if vertical else axes.get_ylim()
    near = {name: value for name, value in found.items() if low - value <= ROOM * (high - low)}
    pad = 0.06 * (high - low)
    low, high = min(low, *near.values(), np.inf) - pad, max(high, *near.values(), -np.inf) + pad
    (axes.set_xlim if vertical else axes.set_ylim)(low, high)
    for name, value in near.items():
        (axes.axvline if vertical else axes.axhline)(value, color=GRAY, lw=0.8, ls=(0, FLOORS[name]), zorder=1)
    far = [f"{'←' if vertical else '↓'} {name} {value:.1f}" for name, value in found.items() if name not in near]
    lines = [*far, *(f"{name} {value:.1f}" for name, value in near.items()), *([f"{failed} failed"] if failed else [])]
    text = (", " if vertical and len(lines) < 3 else "\n").join(lines)
    place = (1.0, 1.015) if vertical else (0.98, 0.03)
    axes.annotate(
        text, place, xycoords="axes fraction", fontsize=5.5, color=GRAY, ha="right", va="bottom", zorder=40,
        bbox={"facecolor": "white", "alpha": 0.7, "pad": 0.3, "edgecolor": "none"},
    )  # fmt: skip


def title(scores: pd.DataFrame, task: str) -> str:
    """Return a task's title: its name and metric, * where it was trained on a subset."""
    own = scores[scores["task"] == task]
    return f"{task}{'*' if own['subset'].any() else ''}, {own['metric'].iloc[0]}"


def draw(tables: Tables) -> Figure:
    """Return the figure; without fine-tuning, it says so."""
    scores = tables.scores
    if scores.empty:
        canvas = figure.canvas(1.2, tables, "Scores")
        canvas.text(0.02, 0.3, "nothing was fine-tuned in this study")
        return canvas
    suite, subset = str(scores["suite"].iloc[0]), bool(scores["subset"].any())
    label = "toyglue scores (not GLUE)" if suite == "toyglue" else f"{suite}{' (subset*)' if subset else ''} scores"
    tasks = [task for task in dict.fromkeys(scores["task"]) if task != AVERAGE]
    draw_all = _curves if scores["point"].nunique() > 1 else _dots
    return draw_all(tables, label, tasks)


def _curves(tables: Tables, label: str, tasks: list[str]) -> Figure:
    scores = tables.scores
    rows, top = 1 + -(-len(tasks) // 2), 0.53 + figure.legend_height(tables.methods)
    height = top + 0.67 + 1.45 * rows
    canvas = figure.canvas(height, tables, CURVES.format(label))
    figure.legend(canvas, tables, top=0.5)
    grid = canvas.add_gridspec(
        rows, 2, left=0.12, right=0.97, top=1 - (top + 0.3) / height, bottom=0.7 / height, hspace=0.5, wspace=0.36
    )
    panels = [(AVERAGE, column, name) for column, name in COSTS]
    panels += [(task, "flops_total", title(scores, task)) for task in tasks]
    for i, (task, column, name) in enumerate(panels):
        axes, own = canvas.add_subplot(grid[i // 2, i % 2]), scores[scores["task"] == task]
        curves(axes, tables, own, column)
        draw_floors(axes, floors(own), vertical=False, failed=int(own["failed"].sum()) if task != AVERAGE else 0)
        axes.set_title(name, fontsize=7)
    canvas.supxlabel("training FLOPs; tasks: everything counted", y=0.27 / height, va="bottom", fontsize=7)
    canvas.supylabel("score × 100, development set", x=0.005, fontsize=7.5)
    return canvas


def _dots(tables: Tables, label: str, tasks: list[str]) -> Figure:
    scores = tables.scores
    panels = [AVERAGE, *tasks]
    rows = -(-len(panels) // 2)
    tall = ROW * len(tables.methods) + 0.1
    height = 0.75 + rows * (tall + 0.55) + 0.36
    canvas = figure.canvas(height, tables, DOTS.format(label))
    names = 0.08 + 0.052 * max(map(len, tables.methods))
    width = (figure.WIDTH - names - 0.3) / 2
    for i, task in enumerate(panels):
        left = names + (i % 2) * (width + 0.18)
        bottom = height - 0.75 - (i // 2) * (tall + 0.55) - tall - 0.08
        axes = canvas.add_axes((left / figure.WIDTH, bottom / height, width / figure.WIDTH, tall / height))
        own = scores[scores["task"] == task]
        dots(axes, tables, own)
        draw_floors(axes, floors(own), vertical=True, failed=int(own["failed"].sum()) if task != AVERAGE else 0)
        axes.set_title("Average over tasks" if task == AVERAGE else title(scores, task), fontsize=7, pad=11)
        axes.tick_params(axis="x", labelsize=6.5)
        if i % 2:
            axes.set_yticklabels([])
    canvas.supxlabel("score × 100, development set", y=0.27 / height, va="bottom", fontsize=7)
    return canvas


if __name__ == "__main__":
    figure.script(draw, globals())
