"""Validation loss against FLOPs: finished points with intervals on light trunks, in both accountings.

At most eight methods, scratch and controls among them, have colors and names; the others are thin gray lines.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from growbench.analysis import captions, wording
from growbench.analysis.figures import axes as axis
from growbench.analysis.figures import figure
from growbench.analysis.figures.figure import GRAY
from growbench.analysis.figures.tables import Tables
from growbench.analysis.statistics.reading import Envelope, Line, joined

PANELS = (("flops", "Target only (the source is free)"), ("flops_total", "Everything counted"))
FRONTIER, SHADE, STEPS = "; broad: from-scratch frontier", "#c8c8c8", 200
OTHER = "#b0b0b0"  # of methods without a color of their own
LETTER = 0.05  # inches of a letter of a name beside a line
ROOM = 2.5  # an entropy line is drawn if the axis grows by at most this factor to show it


def limits(tables: Tables) -> tuple[float, float, list[tuple[str, float]]]:
    """Return the y axis in nats and the names and values of the entropy lines outside of it."""
    points, curves = tables.points, tables.curves
    start = points["flops"].min() / 2
    seen = np.concatenate([points["loss"], curves.loc[curves["flops"] >= start, "valid_loss"]])
    low, high = float(seen.min()), float(np.quantile(seen, 0.99))
    span = max(high - low, 1e-3)
    outside = []
    for name, value in entropies(points):
        if value - low <= ROOM * span and high - value <= ROOM * span:
            low, high = min(low, value), max(high, value)
        else:
            outside.append((name, value))
    pad = 0.06 * (high - low)
    return low - pad, high + pad, outside


def entropies(points: pd.DataFrame) -> list[tuple[str, float]]:
    """Return the reference lines that the study has: name and mean over seeds, nats."""
    blind, perfect = (
        ("class frequencies", "perfect model") if wording.of_images(points) else ("unigram entropy", "entropy floor")
    )
    lines = [(blind, points["unigram_entropy"].mean()), (perfect, points["entropy_floor"].mean())]
    return [(name, float(value)) for name, value in lines if not np.isnan(value)]


def panel(axes: Axes, tables: Tables, column: str) -> list[tuple[str, float, float, str]]:
    """Draw every method over one accounting's FLOPs; return name, FLOPs, loss and color of the leading ones' last points."""
    leading, named = tables.leading, []
    for i, method in enumerate(tables.methods):
        look, own = tables.look(method), tables.points[tables.points["method"] == method]
        cost, loss, below, above = np.array([_mean(group, column) for _, group in own.groupby("fraction")]).T
        if method not in leading:
            axes.plot(cost, loss, color=OTHER, lw=0.7, marker=".", ms=2.5, mew=0, zorder=2)
            continue
        for _, trunk in tables.curves[tables.curves["method"] == method].groupby(["run", "seed"]):
            axes.plot(trunk[column], trunk["valid_loss"], color=look.color, lw=0.5, alpha=0.3, zorder=2)
        axes.plot(own[column], own["loss"], ".", color=look.color, ms=2, alpha=0.5, mew=0, zorder=3)
        axes.errorbar(
            cost, loss, yerr=[below, above], color=look.color, marker=look.marker, linestyle=look.line,
            elinewidth=0.8, capsize=1.5, mec="white", mew=0.4, zorder=5 + i,
        )  # fmt: skip
        named.append((method, float(cost[-1]), float(loss[-1]), look.color))
    scratch = tables.savings[tables.savings["method"] == "scratch"].iloc[0]
    baseline = scratch["threshold_loss"]
    ends = "finishes at" if baseline == scratch["final_loss"] else "reaches"
    axes.axhline(baseline, color="black", lw=0.7, ls=(0, (1, 1)), zorder=1)
    axes.annotate(
        f"scratch {ends} {baseline:.3f}", (0.01, baseline), xycoords=("axes fraction", "data"), xytext=(0, -2),
        textcoords="offset points", fontsize=6.5, va="top", zorder=40,
        bbox={"facecolor": "white", "alpha": 0.7, "pad": 0.5, "edgecolor": "none"},
    )  # fmt: skip
    return named


def frontier(axes: Axes, tables: Tables) -> None:
    """Draw the lowest loss of all models from scratch at each cost: the mean over seeds of their envelopes."""
    envelopes = []
    for _, runs in tables.from_scratch.groupby("seed"):
        curves = [own[["flops_total", "loss"]].to_numpy(dtype=np.float64).T for _, own in runs.groupby("method")]
        lines = [Line.of(cost, loss[None]) for cost, loss in curves]
        envelopes.append(Envelope(lines=[*lines, joined(lines)]))
    first, last = max(own.first for own in envelopes), min(own.last for own in envelopes)
    costs = np.geomspace(first, last, STEPS)
    means = [np.mean([own.at(cost) for own in envelopes]) for cost in costs]
    axes.plot(costs, means, color=SHADE, lw=4.5, solid_capstyle="round", zorder=1.5)


def _mean(group: pd.DataFrame, column: str) -> tuple[float, float, float, float]:
    """Return the mean cost, the mean loss and the lengths of its interval below and above."""
    loss = group.sort_values("seed")["loss"].to_numpy(dtype=np.float64)
    return float(group[column].mean()), *axis.mean_with_bars(loss)


def draw(tables: Tables) -> Figure:
    """Return the figure."""
    top, tall, between = 0.78, 1.8, 0.6
    height = top + 2 * tall + between + 0.64
    canvas = figure.canvas(height, tables, "Validation loss against training compute")
    right = 1 - (0.2 + LETTER * max(map(len, tables.leading))) / figure.WIDTH
    grid = canvas.add_gridspec(
        2, 1, left=0.145, right=right, top=1 - top / height, bottom=0.64 / height, hspace=between / tall
    )
    others = len(tables.methods) - len(tables.leading)
    low, high, outside = limits(tables)
    has_frontier = captions.headline(tables.from_scratch, tables.bases) == "frontier"
    for i, (column, title) in enumerate(PANELS):
        axes = canvas.add_subplot(grid[i])
        if has_frontier and column == "flops_total":
            frontier(axes, tables)
            title += FRONTIER
        named = panel(axes, tables, column)
        axes.set_ylim(low, high)
        costs = tables.points[column]
        title += "; source's cost unknown: not drawn" * bool(costs.isna().any())
        axis.flops_axis(axes, costs.min() / 2.2, costs.max() * 1.12, "training FLOPs (matmul, forward + backward)")
        axes.set_title(title, fontsize=7)
        axes.set_ylabel(f"validation loss ({wording.nats(tables.points)})")
        axis.end_labels(axes, named, tall, size=6)
        if others:
            axes.annotate(
                f"thin gray: {others} more", (1.03, 1.0), xycoords="axes fraction", fontsize=5.5, color=GRAY, va="top",
                annotation_clip=False,
            )  # fmt: skip
        for name, value in entropies(tables.points):
            _entropy(axes, name, value, (name, value) in outside)
    return canvas


def _entropy(axes: Axes, name: str, value: float, outside: bool) -> None:
    """Draw a reference line, or print its value at the edge if it is beyond the axis."""
    up = value > sum(axes.get_ylim()) / 2
    if outside:
        text, place, coordinates = f"{'↑' if up else '↓'} {name} {value:.2f}", (0.99, float(up)), "axes fraction"
        axes.annotate(
            text, place, xycoords=coordinates, fontsize=6.5, color=GRAY, ha="right", va="top" if up else "bottom"
        )
        return
    axes.axhline(value, color=GRAY, lw=0.8, ls=(0, (6, 2)), zorder=1)
    axes.annotate(
        f"{name} {value:.2f}", (0.99, value), xycoords=("axes fraction", "data"), xytext=(0, -2 if up else 2),
        textcoords="offset points", fontsize=6.5, color=GRAY, ha="right", va="top" if up else "bottom",
    )  # fmt: skip


if __name__ == "__main__":
    figure.script(draw, globals())
