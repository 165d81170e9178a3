"""Forest plot: share of scratch's FLOPs that each method saves, in both accountings, with intervals; by groups, best first."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from growbench.analysis import ranking, wording
from growbench.analysis.figures import figure
from growbench.analysis.figures.figure import GRAY
from growbench.analysis.figures.style import Style
from growbench.analysis.figures.tables import Tables
from growbench.analysis.statistics.savings import AT_FIRST, NOT_REACHED

SHIFT = {"target_only": 0.2, "total": -0.2}
ROW, HEAD = 0.38, 0.3  # inches of a method and of a group's name


def limits(savings: pd.DataFrame) -> tuple[float, float]:
    """Return the x axis in percent: every finite value and interval end, and zero, with room at both sides."""
    columns = [f"saving_{name}{end}" for name in SHIFT for end in ("", "_lo", "_hi")]
    values = 100 * savings[[c for c in columns if c in savings]].to_numpy(dtype=np.float64).ravel()
    values = np.append(values[np.isfinite(values)], 0.0)
    low, high = values.min(), values.max()
    pad = max(0.08 * (high - low), 2.0)
    return low - pad, high + pad


def bar(axes: Axes, row: dict[str, Any], name: str, y: float, look: Style) -> None:
    """Draw one saving: its marker, its interval (an arrow where an end is open), and its value as text."""
    low, high = axes.get_xlim()
    filled = name == "target_only"
    if row[f"status_{name}"] != NOT_REACHED:
        value = 100 * float(row[f"saving_{name}"])
        lo, hi = (100 * float(row[f"saving_{name}_{end}"]) for end in ("lo", "hi"))
        if int(row["n"]) > 1:
            ends = low if math.isnan(lo) else lo, high if math.isnan(hi) else hi
            axes.plot(ends, (y, y), color=look.color, lw=1.2, solid_capstyle="butt")
            for end, is_open, arrow in ((ends[0], math.isnan(lo), "<"), (ends[1], math.isnan(hi), ">")):
                axes.plot(end, y, arrow if is_open else "|", color=look.color, ms=4, clip_on=False)
        elif row[f"status_{name}"] == AT_FIRST:
            axes.annotate("", (high, y), (value, y), arrowprops={"arrowstyle": "->", "color": look.color, "lw": 0.8})
        axes.plot(value, y, look.marker, ms=5.5, mec=look.color, mfc=look.color if filled else "white", zorder=5)
    axes.annotate(
        wording.saving(row, name), (1.06, y), xycoords=("axes fraction", "data"), fontsize=6.3, va="center", color="black" if filled else GRAY,
        linespacing=1.1, annotation_clip=False,
    )  # fmt: skip


def draw(tables: Tables) -> Figure:
    """Return the figure: one row per method, in the groups of `ranking.grouped`."""
    groups = ranking.grouped(tables.savings.to_dict("records"), tables.bases)
    rows = [row for own in groups.values() for row in own]
    tall = max(ROW * len(rows) + HEAD * len(groups), ROW)
    height = 1.35 + tall
    canvas = figure.canvas(height, tables, "FLOPs saved against scratch")
    left = (0.14 + 0.062 * max((len(str(row["method"])) for row in rows), default=8)) / figure.WIDTH
    axes = canvas.add_axes((left, 0.62 / height, max(0.62 - left, 0.2), tall / height))
    axes.set_xlim(*limits(tables.savings))
    axes.set_ylim(-tall / ROW, 0)
    axes.axvline(0, color="black", lw=0.8)
    y, places = 0.0, []
    for group, own in groups.items():
        axes.annotate(
            group, (0, y - 0.62 * HEAD / ROW), xycoords=("figure fraction", "data"), xytext=(5, 0),
            textcoords="offset points", fontsize=7, fontweight="bold", va="center", annotation_clip=False,
        )  # fmt: skip
        y -= HEAD / ROW
        for row in own:
            places.append(y - 0.5)
            for name, shift in SHIFT.items():
                bar(axes, row, name, y - 0.5 + shift, tables.look(str(row["method"])))
            y -= 1
    axes.set_yticks(places, [str(row["method"]) for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("saving 1 − F / F_scratch (%)")
    handles = [
        Line2D([], [], ls="", marker="o", mec="black", mfc=fill, label=label)
        for fill, label in (("black", "target only"), ("white", "everything counted"))
    ]
    canvas.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.0, 1 - 0.5 / height),
        ncols=2,
        fontsize=7,
        handletextpad=0.1,
    )
    return canvas


if __name__ == "__main__":
    figure.script(draw, globals())
