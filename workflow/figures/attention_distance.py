"""Attention by relative distance, layer by layer, and to the first token: do layers and models look alike?"""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from growbench.analysis.figures import axes as axis
from growbench.analysis.figures import figure
from growbench.analysis.figures.figure import GRAY
from growbench.analysis.figures.tables import Tables
from growbench.errors import GrowBenchError

COLUMNS, REACH = 3, 16  # panels in a row; distances shown on either side
SHADES = (0.0, 0.75)  # of the color map, first to last layer: dark enough on white
DASHES = ("-", (0, (4, 1.2)), (0, (1, 1)), (0, (5, 1.2, 1, 1.2)))


def models(table: pd.DataFrame, order: list[str]) -> list[str]:
    """Return the source if it was measured, then the methods in the study's order."""
    there = set(table["method"])
    return [name for name in ["source", *order] if name in there]


def shade(layer: int, layers: int) -> tuple[float, ...]:
    """Return a layer's color by its relative depth."""
    place = layer / max(1, layers - 1)
    return tuple(matplotlib.colormaps["cividis"](SHADES[0] + (SHADES[1] - SHADES[0]) * place))


def profile(axes: Axes, own: pd.DataFrame, title: str) -> None:
    """Draw one model: one line per layer, and uniform attention."""
    layers, near = int(own["layers"].iloc[0]), own[own["distance"].abs() <= REACH]
    for layer, rows in near.groupby("layer"):
        rows = rows.sort_values("distance")
        axes.plot(rows["distance"], rows["weight"], color=shade(int(layer), layers), lw=1,
                  ls=DASHES[int(layer) % len(DASHES)] if layers <= len(DASHES) else "-")  # fmt: skip
    axes.axhline(1 / own["length"].iloc[0], color=GRAY, lw=0.5, ls=(0, (1, 1)), zorder=1)
    axes.set_title(title, fontsize=6.5, pad=2)
    axes.tick_params(labelsize=6, length=2, pad=1.5)


def first_token(axes: Axes, table: pd.DataFrame, tables: Tables, names: list[str], inch: float) -> None:
    """Draw the mass on the first token by relative depth for every model."""
    ends = []
    for name in names:
        own = table[table["method"] == name].groupby("layer")["first"].first()
        look, depth = tables.look(name), (np.arange(len(own)) + 1) / len(own)
        axes.plot(depth, own, color=look.color, marker=look.marker, ls=look.line, ms=3.5, mec="white", mew=0.3)
        ends.append((name, 1.0, float(own.iloc[-1]), look.color))
    uniform = 1 / float(table["length"].iloc[0])
    axes.axhline(uniform, color=GRAY, lw=0.7, ls=(0, (1, 1)), zorder=1)
    axes.annotate("uniform", (0.01, uniform), xycoords=("axes fraction", "data"), fontsize=5.8, color=GRAY, va="bottom")
    axes.set_xlabel("depth of the layer (layer / layers)")
    axes.set_ylabel("attention")
    axes.set_title("To the first token")
    axes.margins(y=0.12)
    axis.end_labels(axes, ends, inch, size=6)


def key(canvas: Figure, layers: int, top: float) -> None:
    """Draw the legend of the layers."""
    shown = range(layers) if layers <= len(DASHES) else (0, (layers - 1) // 2, layers - 1)
    handles = [
        matplotlib.lines.Line2D([], [], color=shade(i, layers), ls=DASHES[i] if layers <= len(DASHES) else "-",
                                label=f"layer {i + 1}") for i in shown
    ]  # fmt: skip
    handles.append(matplotlib.lines.Line2D([], [], color=GRAY, lw=0.5, ls=(0, (1, 1)), label="uniform"))
    canvas.legend(handles=handles, loc="upper left", bbox_to_anchor=(0.0, top), ncols=len(handles), fontsize=6.5,
                  handlelength=2.2, columnspacing=1.0, handletextpad=0.4)  # fmt: skip


def draw(tables: Tables) -> Figure:
    """Return the figure: a panel for each model, and one for the first token."""
    table = tables.attention_distance
    if table.empty:
        raise GrowBenchError("attention_distance.csv: missing; set `attention: true` and run the study")
    names = models(table, tables.methods)
    rows = -(-len(names) // COLUMNS)
    top, panel, gap, lower = 0.82, 0.62, 0.28, 1.5
    upper = rows * (panel + gap)
    height = top + upper + 0.3 + lower + 0.75
    first = table.iloc[0]
    canvas = figure.canvas(height, tables, "Where attention goes, by distance", f"attention: seed {first['seed']}")
    key(canvas, int(table["layers"].max()), 1 - 0.5 / height)
    near = table[table["distance"].abs() <= REACH]
    ceiling, reach = 1.08 * float(near["weight"].max()), float(near["distance"].abs().max())
    for i, name in enumerate(names):
        row, column = divmod(i, COLUMNS)
        box = (0.11 + column * 0.305, 1 - (top + row * (panel + gap) + panel + 0.08) / height, 0.265, panel / height)
        axes = canvas.add_axes(box)
        profile(axes, table[table["method"] == name], name)
        axes.set_ylim(0, ceiling)
        axes.set_xlim(-reach, reach if (near["distance"] > 0).any() else 0)
        if column:
            axes.set_yticklabels([])
        if i + COLUMNS < len(names):
            axes.set_xticklabels([])
    y = 1 - (top + upper + 0.04) / height
    canvas.text(0.52, y, f"key − query (tokens; at most {reach:.0f} shown)", fontsize=7, ha="center", va="top")
    canvas.text(
        0.005, 1 - (top + upper / 2) / height, "attention at that distance", fontsize=7, rotation=90, va="center"
    )
    right = 1 - (0.12 + 0.052 * max(len(name) for name in names)) / figure.WIDTH
    axes = canvas.add_axes((0.16, 0.55 / height, right - 0.16, lower / height))
    first_token(axes, table, tables, names, lower)
    return canvas


if __name__ == "__main__":
    figure.script(draw, globals())
