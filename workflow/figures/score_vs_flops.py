"""Development-set score against FLOPs: the average over tasks in both accountings, then every task."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from growbench.analysis.figures import axes as axis
from growbench.analysis.figures import figure
from growbench.analysis.figures.figure import GRAY
from growbench.analysis.figures.tables import Tables
from growbench.analysis.frames.scores import AVERAGE

ROOM = 2.5  # the majority line is drawn if the axis grows by at most this factor to show it
DODGE = 0.055  # share of the axis between markers that would cover each other


def dodge(scores: pd.DataFrame, column: str, methods: list[str], width: float) -> dict[tuple[str, str], float]:
    """Return x per (method, point). If one point was fine-tuned (no lines), markers at nearly equal FLOPs are put side by
    side, `width` apart in log FLOPs.
    """
    rows = scores[scores["task"] == AVERAGE].set_index(["method", "point"])[column]
    if scores["point"].nunique() > 1:
        return {key: float(value) for key, value in rows.items()}
    todo = sorted(((np.log(v), methods.index(key[0]), key) for key, v in rows.items()), key=lambda row: row[:2])
    groups: list[list[tuple[float, int, tuple[str, str]]]] = []
    for row in todo:
        if groups and row[0] - groups[-1][0][0] < width:
            groups[-1].append(row)
        else:
            groups.append([row])
    places = {}
    for group in groups:
        middle = float(np.mean([row[0] for row in group]))
        for i, (_, _, key) in enumerate(sorted(group, key=lambda row: row[1])):
            places[key] = float(np.exp(middle + width * (i - (len(group) - 1) / 2)))
    return places


def panel(axes: Axes, tables: Tables, task: str, column: str, title: str) -> None:
    """Draw one task's mean scores with intervals, and its majority line."""
    scores, methods = tables.scores, tables.methods
    costs = scores[column]
    low, high = float(costs.min()), float(costs.max())
    edge = max(0.18 * np.log(high / low), 0.35)
    low, high = low * np.exp(-edge), high * np.exp(edge)
    places = dodge(scores, column, methods, min(DODGE, 0.8 / len(methods)) * float(np.log(high / low)))
    own = scores[scores["task"] == task]
    for method in methods:
        rows = own[own["method"] == method].sort_values("fraction")
        if rows.empty:
            continue
        look, mean = tables.look(method), 100 * rows["mean"].to_numpy(dtype=np.float64)
        below = np.nan_to_num(mean - 100 * rows["lo"].to_numpy(dtype=np.float64)).clip(min=0)
        above = np.nan_to_num(100 * rows["hi"].to_numpy(dtype=np.float64) - mean).clip(min=0)
        axes.errorbar(
            [places[method, point] for point in rows["point"]], mean, yerr=[below, above], color=look.color,
            marker=look.marker, linestyle=look.line, elinewidth=0.8, capsize=1.5, mec="white", mew=0.4,
        )  # fmt: skip
    axis.flops_axis(axes, low, high, "", most=2)
    _majority(axes, 100 * float(own["majority"].mean()))
    failed = int(own["failed"].sum())
    if failed and task != AVERAGE:
        axes.annotate(f"{failed} failed", (0.98, 0.98), xycoords="axes fraction", fontsize=6, ha="right", va="top")
    axes.set_title(title, fontsize=7)


def _majority(axes: Axes, value: float) -> None:
    """Draw the majority line, or print its value at the edge if the line would flatten the scores."""
    bottom, top = axes.get_ylim()
    pad = 0.2 * (top - bottom)
    if bottom - value > ROOM * (top - bottom):
        axes.set_ylim(bottom - pad, top + pad)
        axes.annotate(f"↓ majority {value:.1f}", (0.02, 0.02), xycoords="axes fraction", fontsize=6, color=GRAY)
        return
    axes.set_ylim(min(bottom, value) - pad, top + pad)
    axes.axhline(value, color=GRAY, lw=0.8, ls=(0, (6, 2)), zorder=1)
    axes.annotate(
        f"majority {value:.1f}", (0.02, value), xycoords=("axes fraction", "data"), xytext=(0, 1.5),
        textcoords="offset points", fontsize=6, color=GRAY, va="bottom",
    )  # fmt: skip


def name(scores: pd.DataFrame, task: str) -> str:
    """Return a task's title: its name and metric, * where it was trained on a subset."""
    own = scores[scores["task"] == task]
    return f"{task}{'*' if own['subset'].any() else ''}, {own['metric'].iloc[0]}"


def draw(tables: Tables) -> Figure:
    """Return the figure; without fine-tuning, it says so."""
    scores = tables.scores
    if scores.empty:
        canvas = figure.canvas(1.2, tables, "Score against training compute")
        canvas.text(0.02, 0.3, "nothing was fine-tuned in this study")
        return canvas
    suite, subset = str(scores["suite"].iloc[0]), bool(scores["subset"].any())
    label = "toyglue score (not GLUE)" if suite == "toyglue" else f"{suite}{' (subset*)' if subset else ''} score"
    tasks = [task for task in dict.fromkeys(scores["task"]) if task != AVERAGE]
    rows = 1 + -(-len(tasks) // 2)
    top = 0.53 + figure.legend_height(tables.methods)
    height = top + 0.67 + 1.45 * rows
    canvas = figure.canvas(height, tables, f"{label} against compute")
    figure.legend(canvas, tables, top=0.5)
    grid = canvas.add_gridspec(
        rows, 2, left=0.12, right=0.97, top=1 - (top + 0.3) / height, bottom=0.72 / height, hspace=0.5, wspace=0.36
    )
    for i, (column, title) in enumerate((("flops", "Average, target only"), ("flops_total", "Average, all counted"))):
        panel(canvas.add_subplot(grid[0, i]), tables, AVERAGE, column, title)
    for i, task in enumerate(tasks):
        panel(canvas.add_subplot(grid[1 + i // 2, i % 2]), tables, task, "flops_total", name(scores, task))
    label = "training FLOPs (matmul, forward + backward)"
    if len(tasks) % 2:
        _note(canvas.add_subplot(grid[rows - 1, 1]), subset)
    else:
        label += "\ntasks: everything counted; a single point's markers side by side"
    canvas.supxlabel(label, y=0.16 / height, va="bottom", fontsize=7)
    canvas.supylabel("score × 100, development set", x=0.005, fontsize=7.5)
    return canvas


def _note(axes: Axes, subset: bool) -> None:
    text = "Tasks: x counts everything.\nA single point's markers at\nequal FLOPs are drawn side\nby side."
    text += "\n* trained on a subset of rows." if subset else ""
    axes.axis("off")
    axes.text(0.0, 0.95, text, color=GRAY, fontsize=6.5, va="top", transform=axes.transAxes, linespacing=1.35)


if __name__ == "__main__":
    figure.script(draw, globals())
