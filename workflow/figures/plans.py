"""Plan timelines: for every method, what runs and which layers learn along the budget, and what it costs."""

import math
from typing import Any

import matplotlib.patheffects as effects
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from growbench.analysis.figures import axes as axis
from growbench.analysis.figures import figure
from growbench.analysis.figures.figure import GRAY
from growbench.analysis.figures.tables import Tables

Row = dict[str, Any]
ROW, BAR = 0.46, 0.6  # inches of a method's row; the deepest model's height as a share of it
TURNS, SLIVER = 6, 0.018  # turns of the kinds of step that are drawn; least width of a turn in inches
CHARACTER = 0.052  # inches
FROZEN, SHORT, THIN, SOURCE = "//////", "||||", "....", "xxxx"
MEANS = ["start_flops", "trunk_flops", "cooldown_flops", "budget_flops", "source_flops"]


def stages(tables: Tables, method: str) -> list[Row]:
    """Return a method's stages, their FLOPs the mean over seeds."""
    own = tables.last_plan(method)
    rows = own[own["seed"] == own["seed"].min()].set_index("stage")
    rows[MEANS] = own.groupby("stage")[MEANS].mean()
    return rows.reset_index().to_dict("records")


def parts(row: Row) -> list[tuple[int, int]]:
    """Return (layers that run, top layers that learn) of each kind of step of a stage."""
    layers = int(row["layers"])
    if pd.notna(row["block"]):
        return [(depth, int(row["block"])) for depth in range(int(row["block"]), layers + 1, int(row["block"]))]
    return [(layers, layers if pd.isna(row["top"]) else int(row["top"]))]


def is_thin(row: Row) -> bool:
    """Whether a stage trains low-rank or shared layers."""
    return pd.notna(row["rank"]) or str(row["shared"]) == "True"


def words(row: Row, target: Row) -> str:
    """Return what a stage does besides training a complete stock model of the target's width on uncut inputs."""
    depths = [depth for depth, _ in parts(row)]
    told = [f"hidden {row['hidden']:.0f}"] if row["hidden"] != target["hidden"] else []
    told += [f"FFN {row['ffn']:.0f}"] if row["ffn"] != target["ffn"] and not told else []
    told += [f"inputs pooled by {row['pool']:.0f}"] if row["pool"] > 1 else []
    told += [f"inputs cut by {row['cut']:.0f}"] if row["cut"] > 1 else []
    told += [f"FFN rank {row['rank']:g}"] if pd.notna(row["rank"]) else []
    told += ["attention shared"] if str(row["shared"]) == "True" else []
    told += [f"teacher {row['teacher']:g}"] if row["teacher"] else []
    told += ["masks lifted"] if row["mask"] else []
    told += [f"sub-models of {depths[0]}–{depths[-1]} layers"] if len(depths) > 1 else []
    told += [f"top {row['top']:.0f} learn"] if pd.notna(row["top"]) else []
    told += [f"LR {row['lr']}"] if row["lr"] != "continue" else []
    return ", ".join(told)


def told(rows: list[Row]) -> str:
    """Return the words of all stages; neighbors that do the same share one entry."""
    groups: list[tuple[str, int, int]] = []
    for row in rows:
        text, number = words(row, rows[-1]), int(row["stage"]) + 1
        if groups and groups[-1][0] == text:
            groups[-1] = (text, groups[-1][1], number)
        else:
            groups.append((text, number, number))
    return "; ".join(f"{a if a == b else f'{a}–{b}'}: {text}" for text, a, b in groups if text)


class Drawing:
    """Draws methods into axes whose x is percent of scratch's budget and whose rows are 1 high."""

    def __init__(self, axes: Axes, tables: Tables, inch: float) -> None:
        """inch: percent of the budget in one inch."""
        self.axes, self.tables, self.inch = axes, tables, inch
        self.unit = BAR / int(tables.plans["layers"].max())
        self.scale = budget(tables) / 100

    def box(self, x: float, y: float, width: float, height: float, color: str, **look: Any) -> None:
        """Draw a filled box; alpha and hatch say what it means."""
        hatch, ink = look.pop("hatch", None), look.pop("ink", "white")
        self.axes.add_patch(Rectangle((x, y), width, height, facecolor=color, lw=0, zorder=3, **look))
        if hatch:
            self.axes.add_patch(
                Rectangle((x, y), width, height, fill=False, ec=ink, hatch=hatch, lw=0, hatch_linewidth=0.5, zorder=4)
            )

    def stage(self, row: Row, y: float, color: str) -> None:
        """Draw a stage: its kinds of step in turn, the layers that run from the bottom, those that learn on top."""
        kinds, start, width = parts(row), row["start_flops"] / self.scale, row["trunk_flops"] / self.scale
        fit = int(width / (SLIVER * self.inch * len(kinds)))
        turns = kinds * (max(1, min(TURNS, fit)) if len(kinds) > 1 else 1)
        step = width / len(turns)
        hatch = SHORT if row["pool"] > 1 or row["cut"] > 1 else None
        hatch = (hatch or "") + THIN if is_thin(row) else hatch
        for i, (run, learn) in enumerate(turns):
            x, frozen = start + i * step, self.unit * (run - learn)
            if frozen:
                self.box(x, y, step, frozen, color, alpha=0.2, hatch=FROZEN, ink=color)
            self.box(x, y + frozen, step, self.unit * learn, color, hatch=hatch)
        if row["teacher"]:
            self.box(start, y - 0.09, width, 0.07, "#d9d9d9", hatch=SOURCE, ink=GRAY)
        if row["cooldown_flops"] > 0:
            cool = row["cooldown_flops"] / self.scale
            self.box(start + width, y, cool, self.unit * row["layers"], color, alpha=0.5)
        self.axes.plot([start, start], [y, y + self.unit * row["layers"]], color="white", lw=0.8, zorder=5)
        self.sizes(row, y, start, width)

    def sizes(self, row: Row, y: float, start: float, width: float) -> None:
        """Write layers x hidden into a stage if it fits."""
        text, height = f"{row['layers']:.0f} × {row['hidden']:.0f}", self.unit * row["layers"]
        if len(parts(row)) == 1 and len(text) * CHARACTER * self.inch < width and height * ROW > 0.09:
            self.axes.text(
                start + width / 2, y + height / 2, text, fontsize=6, ha="center", va="center", color="white", zorder=8,
                path_effects=[effects.withStroke(linewidth=1.6, foreground="#222222")],
            )  # fmt: skip

    def method(self, method: str, y: float) -> None:
        """Draw a method: its source left of 0, its stages and what they do in words, and its cost at the right."""
        rows, color = stages(self.tables, method), self.tables.look(method).color
        source = float(rows[0]["source_flops"])
        if source > 0:
            share = source / self.scale
            self.box(-share, y, share, BAR / 2, "#d9d9d9", hatch=SOURCE, ink=GRAY)
        for row in rows:
            self.stage(row, y, color)
        last = rows[-1]
        total = float(last["start_flops"] + last["trunk_flops"] + last["cooldown_flops"])
        cost = rounded(total) + ("\n+ unknown" if math.isnan(source) else f"\n+ {rounded(source)}" if source else "")
        place: Any = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "annotation_clip": False}
        self.axes.annotate(method, (0, y + BAR), xytext=(0, 1.2), fontsize=6.5, fontweight="bold", va="bottom", **place)
        shift = 4.5 * len(method) + 4
        self.axes.annotate(
            told(rows), (0, y + BAR), xytext=(shift, 1.4), fontsize=5.8, color=GRAY, va="bottom", **place
        )
        self.axes.annotate(cost, (1, y + BAR / 2), xytext=(3, 0), fontsize=5.8, va="center", linespacing=1.1, **place)


def rounded(value: float) -> str:
    """Return FLOPs with two digits."""
    return axis.power(float(f"{value:.1e}"))


def budget(tables: Tables) -> float:
    """Return scratch's budget in FLOPs, the largest of the study except for controls."""
    return float(tables.plans.loc[tables.plans["method"] == "scratch", "budget_flops"].iloc[0])


def draw(tables: Tables) -> Figure:
    """Return the figure: one row per method."""
    methods, plans, top, bottom = tables.methods, tables.plans, 0.92, 0.62
    height = top + bottom + ROW * len(methods)
    canvas = figure.canvas(height, tables, "Plans: what runs, what learns, what it costs", "their mean")
    left, right = 0.08 / figure.WIDTH, 1 - 0.6 / figure.WIDTH
    axes = canvas.add_axes((left, bottom / height, right - left, ROW * len(methods) / height))
    low = -1.03 * 100 * float(plans["source_flops"].max()) / budget(tables)
    high = 100 * max(1.0, float(plans["budget_flops"].max()) / budget(tables))
    axes.set_xlim(low, high)
    axes.set_ylim(-0.1, len(methods) - 0.1)
    drawing = Drawing(axes, tables, (high - low) / ((right - left) * figure.WIDTH))
    for i, method in enumerate(reversed(methods)):
        drawing.method(method, float(i))
        axes.plot([0, 0], [i, i + BAR], color="black", lw=0.8, zorder=6)
    axes.set_yticks([])
    axes.set_xticks([tick for tick in range(0, int(high) + 1, 25) if tick >= low])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    axes.set_xlabel("FLOPs spent (% of scratch's); left of 0: on the source", fontsize=7)
    canvas.text(right + 0.01, 1 - (top - 0.02) / height, "FLOPs\n+ source's", fontsize=5.8, color=GRAY, va="bottom")
    key(canvas, height)
    return canvas


def key(canvas: Figure, height: float) -> None:
    """Draw the legend of what a box means."""
    kinds: dict[str, Any] = {
        "learns": {"fc": "#444444"},
        "cools down": {"fc": "#444444", "alpha": 0.5},
        "runs, frozen": {"fc": "#dddddd", "ec": "#444444", "hatch": FROZEN},
        "short inputs": {"fc": "#444444", "ec": "white", "hatch": SHORT},
        "thin layers": {"fc": "#444444", "ec": "white", "hatch": THIN},
        "source, teacher": {"fc": "#d9d9d9", "ec": GRAY, "hatch": SOURCE},
    }
    handles = [Rectangle((0, 0), 1, 1, lw=0, hatch_linewidth=0.5, label=name, **look) for name, look in kinds.items()]
    canvas.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.0, 1 - 0.5 / height), ncols=3, fontsize=6.5, handlelength=1.6,
        handletextpad=0.4, columnspacing=1.0, labelspacing=0.3,
    )  # fmt: skip


if __name__ == "__main__":
    figure.script(draw, globals())
