"""bert2BERT's ablation: loss against FLOPs for DirectCopy, FPI, AKI and two-stage training, and final loss against E_b."""

import json

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from growbench.analysis import wording
from growbench.analysis.figures import axes as axis
from growbench.analysis.figures import figure
from growbench.analysis.figures.tables import Tables

FAMILY = ("scratch", "direct_copy", "bert2bert_fpi", "bert2bert_aki", "bert2bert")
TWO_STAGE, ALONE = "bert2bert", "bert2bert_aki"
SETTING = "E_b"  # share of scratch's steps that train sub-models
PANEL = 2.3  # inches


def members(tables: Tables) -> list[str]:
    """Return the study's methods of the ablation and their variants, in its order."""
    return [name for name in tables.methods if tables.bases.get(name, name) in FAMILY]


def curves(axes: Axes, tables: Tables, methods: list[str]) -> None:
    """Draw finished points with intervals on light trunks, the source free, as the paper counts."""
    points = tables.points[tables.points["method"].isin(methods)]
    trunks = tables.curves[tables.curves["method"].isin(methods)]
    low, high = float(points["flops"].min()) / 2.2, float(points["flops"].max()) * 1.04
    ends = []
    for i, method in enumerate(methods):
        look, own = tables.look(method), points[points["method"] == method]
        for _, trunk in trunks[trunks["method"] == method].groupby(["run", "seed"]):
            axes.plot(trunk["flops"], trunk["valid_loss"], color=look.color, lw=0.5, alpha=0.3, zorder=2)
        rows = [(g["flops"].mean(), *_loss(g)) for _, g in own.groupby("fraction")]
        cost, loss, below, above = np.array(rows).T
        axes.errorbar(
            cost, loss, yerr=[below, above], color=look.color, marker=look.marker, linestyle=look.line,
            elinewidth=0.8, capsize=1.5, mec="white", mew=0.4, zorder=5 + i,
        )  # fmt: skip
        ends.append((method, float(cost[-1]), float(loss[-1]), look.color))
    seen = np.concatenate([points["loss"], trunks.loc[trunks["flops"].between(low, high), "valid_loss"]])
    pad = 0.05 * float(np.ptp(seen))
    axes.set_ylim(float(seen.min()) - pad, float(seen.max()) + pad)
    axis.flops_axis(axes, low, high, "training FLOPs, the source free")
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.set_ylabel(f"validation loss ({wording.nats(tables.points)})")
    axis.end_labels(axes, ends, PANEL)


def _loss(group: pd.DataFrame) -> tuple[float, float, float]:
    """Return the mean loss and the lengths of its interval below and above."""
    return axis.mean_with_bars(group.sort_values("seed")["loss"].to_numpy(dtype=np.float64))


def settings(tables: Tables) -> dict[str, float]:
    """Return E_b by method: of two-stage training, and of its variants that differ in nothing else.

    AKI alone, which is two-stage training without a first stage, has 0.
    """
    options = {
        name: json.loads(text) for name, text in zip(tables.plans["method"], tables.plans["options"], strict=True)
    }
    if SETTING not in options.get(TWO_STAGE, {}):
        return {}
    found = {
        name: float(own[SETTING])
        for name, own in options.items()
        if tables.bases[name] == TWO_STAGE and _rest(own) == _rest(options[TWO_STAGE])
    }
    alone = options[TWO_STAGE].get("init") == "aki" and ALONE in options
    return ({ALONE: 0.0} if alone else {}) | found


def _rest(options: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in options.items() if key not in (SETTING, "of")}


def against_setting(axes: Axes, tables: Tables, found: dict[str, float]) -> None:
    """Draw the final loss against E_b."""
    final = tables.points[tables.points["fraction"] == tables.points["fraction"].max()]
    rows = sorted((value, *_loss(final[final["method"] == name]), name) for name, value in found.items())
    axes.plot([row[0] for row in rows], [row[1] for row in rows], color="#999999", lw=0.8, zorder=1)
    for i, (value, mean, below, above, name) in enumerate(rows):
        look = tables.look(name)
        axes.errorbar(
            value, mean, yerr=[[below], [above]], color=look.color, marker=look.marker, capsize=1.5, elinewidth=0.8,
            mec="white", mew=0.4,
        )  # fmt: skip
        axes.annotate(
            name,
            (value, mean),
            xytext=(4, -8 if i % 2 else 4),
            textcoords="offset points",
            fontsize=6.2,
            color=look.color,
        )
    axes.set_xlabel("E_b: first stage's steps / scratch's steps (0: AKI alone)")
    axes.set_ylabel("final loss (nats)")
    axes.margins(x=0.2, y=0.2)
    axes.set_xlim(left=-0.08 * max(found.values()))
    axes.xaxis.set_major_locator(MaxNLocator(5))


def draw(tables: Tables) -> Figure:
    """Return the figure; if the study has none of these methods besides scratch, it says so."""
    methods = members(tables)
    if len(methods) < 2:
        canvas = figure.canvas(1.2, tables, "bert2BERT's ablation")
        canvas.text(0.02, 0.3, "this study has none of the methods of bert2BERT's ablation")
        return canvas
    found = settings(tables)
    lower = 1.75 if len(found) > 1 else 0.0
    height = 0.75 + PANEL + 0.75 + lower
    canvas = figure.canvas(height, tables, "bert2BERT's ablation")
    right = 1 - (0.12 + 0.056 * max(len(name) for name in methods)) / figure.WIDTH
    curves(canvas.add_axes((0.16, 1 - (0.75 + PANEL) / height, right - 0.16, PANEL / height)), tables, methods)
    if lower:
        box = (0.18, 0.62 / height, 0.79, (lower - 0.6) / height)
        against_setting(canvas.add_axes(box), tables, found)
    return canvas


if __name__ == "__main__":
    figure.script(draw, globals())
