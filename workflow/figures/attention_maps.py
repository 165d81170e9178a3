"""Attention maps of source and target side by side: the small trained model, one grown from it, and one from scratch."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from growbench.analysis.figures import figure
from growbench.analysis.figures.figure import GRAY
from growbench.analysis.figures.tables import Tables
from growbench.errors import GrowBenchError

GAMMA = 0.5  # of the color scale: makes small masses visible beside large ones
CELL, GAP = 0.98, 0.14  # inches of one model's heads of one layer, and between models
FIRST = ("source", "scratch")


def models(maps: pd.DataFrame) -> list[str]:
    """Return the source, what is grown from it, and scratch: neighbors are to be compared."""
    names = list(dict.fromkeys(maps["method"]))
    return sorted(names, key=lambda name: (name == "scratch", name != "source"))


def tile(axes: Axes, rows: pd.DataFrame, top: float) -> None:
    """Draw the heads of one layer, two per row, those that look nearest first."""
    keys = [name for name in rows if str(name).startswith("key")]
    heads = list(dict.fromkeys(rows["head"]))
    side = len(keys)
    grid = np.full((2 * side + 1, 2 * side + 1), np.nan)
    for place, head in enumerate(heads):
        y, x = (side + 1) * (place // 2), (side + 1) * (place % 2)
        own = rows[rows["head"] == head].sort_values("query")[keys].to_numpy(dtype=np.float64)
        grid[y : y + len(own), x : x + side] = own
    axes.imshow((grid / top) ** GAMMA, cmap="magma", vmin=0, vmax=1, interpolation="nearest", aspect="equal")
    axes.set_axis_off()


def likeness(tables: Tables, method: str) -> str:
    """Return the correlation of a model's heads with the source's, in words."""
    own = tables.attention_distance
    value = own.loc[own["method"] == method, "likeness"].iloc[0]
    return "" if method == "source" or pd.isna(value) else f", r = {value:.2f}"


def draw(tables: Tables) -> Figure:
    """Return the figure: rows are layers, columns models."""
    maps = tables.attention_maps
    if maps.empty:
        raise GrowBenchError("attention_maps.csv: missing; set `attention: true` and run the study")
    names = models(maps)
    layers = {name: list(dict.fromkeys(maps.loc[maps["method"] == name, "layer"])) for name in names}
    rows = max(len(found) for found in layers.values())
    cell = min(CELL, (figure.WIDTH - 0.45 - GAP * (len(names) - 1)) / len(names))
    top, bottom = 0.95, 1.08
    height = top + rows * (cell + GAP) + bottom
    first = maps.iloc[0]
    canvas = figure.canvas(height, tables, "Attention maps, source and target", f"maps: seed {first['seed']}")
    keys = [name for name in maps if str(name).startswith("key")]
    peak = float(maps[keys].to_numpy().max())
    for column, name in enumerate(names):
        left = 0.36 + column * (cell + GAP)
        own = maps[maps["method"] == name]
        canvas.text(left / figure.WIDTH, 1 - (top - 0.2) / height, name, fontsize=7, fontweight="bold", va="bottom",
                    color=tables.look(name).color if name != "source" else "#555555")  # fmt: skip
        under = f"{own['layers'].iloc[0]} × {own['heads'].iloc[0]} heads{likeness(tables, name)}"
        canvas.text(left / figure.WIDTH, 1 - (top - 0.05) / height, under, fontsize=5.2, color=GRAY, va="bottom")
        for row, layer in enumerate(layers[name]):
            y = 1 - (top + row * (cell + GAP) + cell) / height
            axes = canvas.add_axes((left / figure.WIDTH, y, cell / figure.WIDTH, cell / height))
            tile(axes, own[own["layer"] == layer], peak)
            if column == 0 or layers[name] != layers[names[0]]:
                text = f"layer {layer + 1}"
                canvas.text((left - 0.04) / figure.WIDTH, y + cell / height / 2, text, fontsize=6, rotation=90,
                            ha="right", va="center")  # fmt: skip
    scale(canvas, height, peak)
    note = (
        f"Rows of a map: queries; columns: keys; the first {len(keys)} positions.\n"
        f"Mean over {first['sequences']} validation sequences. Layers × heads. r: mean correlation of a\n"
        "model's heads with the most similar head of the source."
    )
    canvas.text(0.02, 0.2 / height, note, fontsize=6, color=GRAY, va="bottom", linespacing=1.3)
    return canvas


def scale(canvas: Figure, height: float, peak: float) -> None:
    """Draw the color scale."""
    axes = canvas.add_axes((0.42, 0.85 / height, 0.45, 0.07 / height))
    axes.imshow(np.linspace(0, 1, 256)[None], cmap="magma", aspect="auto", extent=(0, 1, 0, 1))
    ticks = [tick for tick in (0, 0.02, 0.1, 0.25, 0.5, 1) if tick <= peak]
    axes.set_xticks([(tick / peak) ** GAMMA for tick in ticks], [f"{tick:g}" for tick in ticks], fontsize=5.5)
    axes.set_yticks([])
    axes.tick_params(axis="x", length=2, pad=1)
    axes.grid(visible=False)
    canvas.text(0.4, 0.88 / height, "attention", fontsize=6, ha="right", va="center")


if __name__ == "__main__":
    figure.script(draw, globals())
