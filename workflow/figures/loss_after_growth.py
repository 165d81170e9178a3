"""Loss right after growth: the model that is grown, the grown model, and a random start, by method and by growth ratio."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from growbench.analysis import wording
from growbench.analysis.figures import axes as axis
from growbench.analysis.figures import figure
from growbench.analysis.figures.figure import GRAY
from growbench.analysis.figures.tables import Tables
from growbench.analysis.statistics.intervals import mean_interval

Row = dict[str, Any]
ROW = 0.24
LABEL = 0.13  # room of a ratio's label, as a share of the axis
LOSSES = ("loss_before", "loss_after")


def growths(tables: Tables) -> list[Row]:
    """Return one row per growth, of the source or of the stage before: sizes, ratio of parameters, mean losses."""
    rows: list[Row] = []
    for method in tables.methods:
        own = tables.last_plan(method).sort_values(["seed", "stage"])
        for stage, group in own[own["enter"].isin(["source", "grow"])].groupby("stage"):
            first = group.iloc[0]
            before = own[(own["stage"] == stage - 1) & (own["seed"] == first["seed"])]
            small = before.iloc[0] if len(before) else sizes_of_source(tables)
            losses = {name: mean_interval(group[name].dropna().to_numpy(dtype=np.float64)) for name in LOSSES}
            if any(len(group[name].dropna()) == 0 for name in LOSSES) or small is None:
                continue
            means = {name: float(group[name].mean()) for name in LOSSES}
            ratio = float(first["parameters"] / small["parameters"])
            text = f"({small['layers']:.0f}, {small['hidden']:.0f}) → ({first['layers']:.0f}, {first['hidden']:.0f})"
            rows.append({"method": method, "stage": int(stage), "ratio": ratio, "text": text, **means, "ends": losses})
    return rows


def sizes_of_source(tables: Tables) -> pd.Series | None:
    """Return the source's own row of the plans table, None if the study has none."""
    return None if tables.source.empty else tables.source.iloc[0]


def random_start(tables: Tables) -> float:
    """Return the mean loss of scratch before its first step, nats."""
    plans = tables.plans
    return float(plans.loc[(plans["method"] == "scratch") & (plans["stage"] == 0), "loss_after"].mean())


def by_method(axes: Axes, tables: Tables, rows: list[Row], start: float) -> None:
    """Draw one row per growth: before (open), after (filled, with interval), and the random start as a line."""
    for y, row in enumerate(reversed(rows)):
        look = tables.look(row["method"])
        axes.plot([row["loss_before"], row["loss_after"]], [y, y], color=look.color, lw=1.2, zorder=3)
        ends = row["ends"]["loss_after"]
        if ends.lo is not None and ends.hi is not None:
            axes.plot([ends.lo, ends.hi], [y, y], color=look.color, lw=3, alpha=0.35, zorder=2, solid_capstyle="butt")
        axes.plot(row["loss_before"], y, look.marker, ms=4.5, mfc="white", mec=look.color, zorder=4)
        axes.plot(row["loss_after"], y, look.marker, ms=4.5, color=look.color, zorder=5)
        axes.annotate(
            axis.signed(row["loss_after"] - row["loss_before"]), (1, y), xycoords=("axes fraction", "data"), xytext=(4, 0),
            textcoords="offset points", fontsize=6.5, va="center", annotation_clip=False,
        )  # fmt: skip
    axes.axvline(start, color="black", lw=0.8, ls=(0, (4, 1.5)), zorder=1)
    axes.annotate(
        "added", (1, len(rows) - 0.45), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
        fontsize=6.2, va="bottom", annotation_clip=False,
    )  # fmt: skip
    axes.annotate(
        f"random start {start:.2f}", (start, len(rows) - 0.45), xytext=(-2, 0), textcoords="offset points", fontsize=6.2,
        ha="right", va="bottom", annotation_clip=False,
    )  # fmt: skip
    again = {row["method"] for row in rows if sum(other["method"] == row["method"] for other in rows) > 1}
    names = [f"{row['method']}, stage {row['stage'] + 1}" if row["method"] in again else row["method"] for row in rows]
    axes.set_yticks(range(len(rows)), list(reversed(names)))
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(f"validation loss ({wording.nats(tables.points)})")


def spaced(ratios: list[float], least: float) -> list[float]:
    """Return the sorted ratios whose labels have room. least: logarithm of the smallest factor between two of them."""
    labeled = ratios[:1]
    for ratio in ratios[1:]:
        if np.log(ratio / labeled[-1]) >= least:
            labeled.append(ratio)
    return labeled


def by_ratio(axes: Axes, tables: Tables, rows: list[Row]) -> None:
    """Draw what growing adds to the loss against how many times more parameters it makes."""
    ratios = sorted({round(row["ratio"], 2) for row in rows})
    low, high = min(ratios) / 1.15, max(ratios) * 1.15
    for ratio in ratios:
        group = [row for row in rows if round(row["ratio"], 2) == ratio]
        places = np.exp(np.linspace(-0.5, 0.5, len(group)) * 0.06 * len(group) / 5 * np.log(high / low))
        for row, place in zip(group, places if len(group) > 1 else [1.0], strict=True):
            look = tables.look(row["method"])
            added = row["loss_after"] - row["loss_before"]
            axes.plot(ratio * place, added, look.marker, ms=5, color=look.color, mec="white", mew=0.4, zorder=4)
    axes.axhline(0, color="black", lw=0.8)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(spaced(ratios, LABEL * np.log(high / low))))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(y=0.12)
    axes.xaxis.set_major_formatter("×{x:.2f}")
    axes.set_xlabel("growth: parameters after / before (side by side where equal)")
    axes.set_ylabel("added loss (nats)")


def draw(tables: Tables) -> Figure:
    """Return the figure; if nothing is grown, it says so."""
    rows = growths(tables)
    if not rows:
        canvas = figure.canvas(1.2, tables, "Loss right after growth")
        canvas.text(0.02, 0.3, "no growth of this study has a measured loss on both sides")
        return canvas
    list_height, top = ROW * len(rows) + 0.1, 0.95
    height = top + list_height + 2.35
    canvas = figure.canvas(height, tables, "Loss right after growth")
    names = max(len(row["method"]) + 9 * (row["stage"] > 1) for row in rows)
    left = (0.12 + 0.062 * names) / figure.WIDTH
    box = (left, 1 - (top + list_height) / height, 0.87 - left, list_height / height)
    axes = canvas.add_axes(box)
    by_method(axes, tables, rows, random_start(tables))
    lower = canvas.add_axes((0.17, 0.6 / height, 0.7, 1.05 / height))
    lower.set_title("Against the growth ratio")
    by_ratio(lower, tables, rows)
    handles = [
        Line2D([], [], ls="", marker="o", mec=GRAY, mfc="white", label="the model that is grown"),
        Line2D([], [], ls="", marker="o", mec=GRAY, mfc=GRAY, label="right after, before any step"),
    ]
    canvas.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.0, 1 - 0.5 / height), ncols=2, fontsize=6.8, handletextpad=0.1,
        columnspacing=1.0,
    )  # fmt: skip
    return canvas


if __name__ == "__main__":
    figure.script(draw, globals())
