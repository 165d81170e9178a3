"""The figures of a ladder: savings against tokens per parameter and size, losses and minimal pairs against FLOPs."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from growbench.analysis import wording
from growbench.analysis.figures import axes as axis
from growbench.analysis.figures.figure import GRAY
from growbench.analysis.figures.style import Style, styles
from growbench.analysis.frames.accounting import FRONTIER
from growbench.analysis.frames.measured import interval_of
from growbench.analysis.frames.zeroshot import misread
from growbench.analysis.ladder import frames
from growbench.analysis.ladder.regression import fit
from growbench.analysis.ladder.rung import Rung, bases
from growbench.analysis.statistics.reading import Envelope, Line, joined
from growbench.analysis.statistics.savings import REACHED

WIDTH, TALL, TOP, BOTTOM = 7.0, 1.5, 0.75, 0.75  # inches: the page, a row of panels, and the margins
ALONE = 2.2  # inches: a row of panels that are fewer than the columns
COLUMNS = 4
NAMES = 6  # of a legend, in a line
NAME_LINE = 0.14  # inches: each line of a legend beyond the three that TOP has room for
DENSE = 0.065  # share of a panel's height between two ticks: savings lie close above 0, costs far below
SPREAD = "95 % t intervals over seeds"
TITLE = "Saving against the best model from scratch, everything counted"
RUNGS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#332288", "#882255")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")


def savings(rungs: Sequence[Rung]) -> Figure:
    """Return savings against the frontier over tokens per parameter, a panel per method and a line per rung.

    Two panels more, if there is something to compare: over the training of the source, for methods that differ in nothing
    else, and over size.
    """
    table = frames.savings(rungs)
    table = table[table["accounting"] == FRONTIER]
    sources = frames.of_source(rungs)
    by_source = {f"{row['rung']} {row['method']}" for row in sources.to_dict("records")}
    table = table[~(table["rung"] + " " + table["method"]).isin(by_source)]
    shown = list(dict.fromkeys(name for rung in rungs for name in rung.growing if name in set(table["method"])))
    sized = [rung for rung in rungs if any(rung.row(name, FRONTIER, frames.AT) for name in shown)]
    sized = sized if len({rung.target for rung in sized}) > 1 else []
    over = "; over size, 95 % prediction bands" if sized else ""
    figure, grid = _page(
        max(len(shown) + bool(by_source) + bool(sized), 1), TITLE, rungs, f"Bands and bars: {SPREAD}{over}."
    )
    drawn = [table.loc[table["method"].isin(shown), "saving"]]
    drawn += [] if sources.empty else [sources[f"saving_{FRONTIER}"]]
    values = -np.log1p(-pd.concat(drawn).dropna())
    if values.empty:
        grid[0].text(0, 0.5, "no finished point has a saving against the frontier", fontsize=7)
        grid[0].set_axis_off()
        return figure
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    pad = 0.1 * max(high - low, 0.1)
    for axes in grid:
        axes.set_ylim(low - pad, high + pad)
    for method, axes in zip(shown, grid, strict=False):
        _over_tpp(axes, rungs, table, method)
    if by_source:
        _over_source(grid[len(shown)], rungs, sources)
    if sized:
        _over_size(grid[-1], sized, shown)
    _rungs_legend(figure, rungs, [Line2D([], [], color="#999999", marker=".", label="placebo")])
    figure.supylabel("saving (%)", x=0.005, fontsize=7)
    return figure


def _over_tpp(axes: Axes, rungs: Sequence[Rung], table: pd.DataFrame, method: str) -> None:
    """Draw a method's savings over tokens per parameter, a line per rung, and the placebos of the rungs that it is in."""
    for i, rung in enumerate(rungs):
        own = table[table["rung"] == rung.study].sort_values("tpp")
        rows = own[own["method"] == method]
        for placebo in rung.placebos if len(rows) else ():
            axis.saving_line(axes, own[own["method"] == placebo], "#999999", ".", 2)
        axis.saving_line(axes, rows, RUNGS[i % len(RUNGS)], MARKERS[i % len(MARKERS)], 3.2)
    _of_savings(axes, method, "tokens per parameter")


def _over_source(axes: Axes, rungs: Sequence[Rung], sources: pd.DataFrame) -> None:
    """Draw the savings at the last point over the tokens per parameter that the source has read itself."""
    own = interval_of(sources.iloc[0].to_dict(), f"saving_{FRONTIER}_")
    names = {"source_tpp": "tpp", f"saving_{FRONTIER}": "saving", f"{own}lo": "lo", f"{own}hi": "hi"}
    for i, rung in enumerate(rungs):
        rows = sources[sources["rung"] == rung.study].rename(columns=names).assign(status=REACHED)
        axis.saving_line(axes, rows, RUNGS[i % len(RUNGS)], MARKERS[i % len(MARKERS)], 3.2)
    _of_savings(axes, "by the source's training", "its tokens per parameter; last point")


def _over_size(axes: Axes, rungs: Sequence[Rung], methods: Sequence[str]) -> None:
    """Draw the savings at 5 tokens per parameter over the target's size, each method with its line and its prediction band."""
    looks = _looks(rungs)
    found = [(rung, name, row) for rung in rungs for name in methods if (row := rung.row(name, FRONTIER, frames.AT))]
    for method in methods:
        own = [
            (rung.target, row["saving"]) for rung, name, row in found if name == method and not pd.isna(row["saving"])
        ]
        if not own:
            continue
        look, (x, y) = looks[method], np.array(sorted(own)).T
        axes.plot(x, _height(y), look.marker, color=look.color, ms=3.2, mec="white", mew=0.3, zorder=5)
        if len(x) > 2:
            line, dense = fit(np.log(x), y), np.geomspace(x[0], x[-1], 50)
            axes.plot(dense, _height(line.at(np.log(dense))), color=look.color, lw=0.8)
            if band := line.band(np.log(dense)):
                axes.fill_between(dense, _height(band[0]), _height(band[1]), color=look.color, alpha=0.12, lw=0)
    _of_savings(axes, f"at {frames.AT:g} tokens per parameter", "millions of parameters of the target", 1e6)


def _of_savings(axes: Axes, title: str, label: str, unit: float = 1.0) -> None:
    """Title a panel of savings and label its axes, with a line at 0."""
    _titled(axes, title)
    _over(axes, label, unit)
    axes.axhline(0, color="black", lw=0.7)
    axis.saving_axis(axes, DENSE)


def _height(saving: np.ndarray) -> np.ndarray:
    """Return where savings are drawn on their axis; what lies above it ends at its top."""
    return np.asarray(-np.log1p(-np.minimum(saving, 0.999)))


def loss_vs_flops(rungs: Sequence[Rung]) -> Figure:
    """Return final losses over FLOPs, everything counted: a panel per rung, the frontier of models from scratch shaded below."""
    looks = _looks(rungs)
    figure, grid = _page(len(rungs), "Loss against FLOPs, everything counted", rungs, names=len(looks) + 1)
    for rung, axes in zip(rungs, grid, strict=False):
        for name in rung.bases:
            look, own = looks[name], rung.measured.own(name)
            mean = own.groupby("fraction")[["flops_total", "loss"]].mean()
            axes.plot(
                mean["flops_total"], mean["loss"], color=look.color, marker=look.marker, ls=look.line, ms=2.5, lw=0.9
            )
        costs, best = _frontier(rung)
        axes.plot(costs, best, color="black", lw=2.2, alpha=0.25, zorder=1)
        _titled(axes, rung.study)
        _over_flops(axes)
    _methods_legend(figure, looks, [Line2D([], [], color="black", lw=2.2, alpha=0.25, label="best from scratch")])
    figure.supylabel("test loss (nats)", x=0.005, fontsize=7)
    return figure


def _frontier(rung: Rung) -> tuple[np.ndarray, np.ndarray]:
    """Return FLOPs and the lowest mean loss of any model from scratch at them."""
    curves = rung.measured.frontier()
    lines = [Line.of(curve.cost.mean(axis=0), curve.loss.mean(axis=0)[None]) for curve in curves]
    best = Envelope(lines=[*lines, joined(lines)])
    costs = np.geomspace(best.first, best.last, 200)
    return costs, np.array([float(best.at(cost)[0]) for cost in costs])


def pairs_vs_flops(rungs: Sequence[Rung]) -> Figure | None:
    """Return the scores on minimal pairs over FLOPs, everything counted; None if no rung has any that were read right."""
    scored = [rung for rung in rungs if not rung.zeroshot.empty and "pairs" in set(rung.zeroshot["task"])]
    scored = [rung for rung in scored if not misread(rung.zeroshot)]
    if not scored:
        return None
    looks = _looks(scored)
    title = "Minimal pairs against FLOPs, everything counted"
    figure, grid = _page(len(scored), title, scored, f"Bars: {SPREAD}.", len(looks))
    for rung, axes in zip(scored, grid, strict=False):
        table = rung.zeroshot
        main = table[(table["task"] == "pairs") & table["main"]]
        for name in rung.bases:
            look, rows = looks[name], main[main["method"] == name].sort_values("flops_total")
            axes.errorbar(
                rows["flops_total"], 100 * rows["mean"], yerr=100 * np.array([rows["mean"] - rows["lo"], rows["hi"] - rows["mean"]]),
                color=look.color, marker=look.marker, ls=look.line, ms=2.5, lw=0.9, elinewidth=0.5,
            )  # fmt: skip
        _titled(axes, rung.study)
        _over_flops(axes)
    _methods_legend(figure, looks)
    figure.supylabel("pairs in which the real sentence is likelier (%)", x=0.005, fontsize=7)
    return figure


def _page(
    panels: int, title: str, rungs: Sequence[Rung], spread: str = "", names: int = 0
) -> tuple[Figure, list[Axes]]:
    """Return a page with a number of panels, its title, and the rungs' sizes and origin as the footer.

    spread: what the panels show of several seeds. names: how many the legend will have.
    """
    columns = min(panels, COLUMNS)
    lines = -(-panels // columns)
    top = TOP + NAME_LINE * max(-(-names // NAMES) - 3, 0)
    height = top + lines * ((TALL if columns == COLUMNS else ALONE) + 0.55) + BOTTOM
    figure = Figure(figsize=(WIDTH, height))
    grid = figure.add_gridspec(
        lines, columns, left=0.08, right=0.985, top=1 - top / height, bottom=BOTTOM / height, hspace=0.5, wspace=0.32
    )
    figure.text(0.01, 1 - 0.05 / height, title, fontsize=9, fontweight="bold", va="top")
    origin = wording.provenance(pd.concat([rung.points for rung in rungs], ignore_index=True))
    facts = "; ".join(f"{rung.study}: {wording.scale(rung.points)}, n = {rung.seeds}" for rung in rungs)
    footer = textwrap.wrap(f"{facts}. Records: {origin}. {spread}", 190)
    for i, line in enumerate(reversed(footer)):
        figure.text(0.01, (0.04 + 0.09 * i) / height, line, fontsize=5, color=GRAY)
    return figure, [figure.add_subplot(grid[i // columns, i % columns]) for i in range(panels)]


def _titled(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=6.5, pad=2)
    axes.tick_params(labelsize=6, length=2, pad=1.5)


def _over(axes: Axes, label: str, unit: float = 1.0) -> None:
    """Make x logarithmic with a few round ticks, in multiples of a unit."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(FixedLocator([unit * tick for tick in axis.round_ticks(low / unit, high / unit, 4)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / unit:g}"))
    axes.set_xlabel(label, fontsize=6, labelpad=1)


def _over_flops(axes: Axes) -> None:
    axes.set_xscale("log")
    axis.flops_axis(axes, *axes.get_xlim(), "FLOPs", most=3)
    axes.xaxis.label.set_fontsize(6)


def _rungs_legend(figure: Figure, rungs: Sequence[Rung], more: Sequence[Line2D]) -> None:
    looks = zip(rungs, RUNGS * 2, MARKERS * 2, strict=False)
    handles = [Line2D([], [], color=color, marker=marker, label=rung.study) for rung, color, marker in looks]
    handles += [*more, Line2D([], [], color=GRAY, marker=2, ls="", label="at least"),
                Line2D([], [], color=GRAY, marker="x", ls="", label="not reached")]  # fmt: skip
    _legend(figure, handles)


def _looks(rungs: Sequence[Rung]) -> dict[str, Style]:
    """Return the style of every method of the rungs, one for all panels."""
    return styles(bases(rungs))


def _methods_legend(figure: Figure, looks: Mapping[str, Style], more: Sequence[Line2D] = ()) -> None:
    handles = [
        Line2D([], [], color=look.color, marker=look.marker, ls=look.line, label=name) for name, look in looks.items()
    ]
    _legend(figure, [*handles, *more])


def _legend(figure: Figure, handles: Sequence[Line2D]) -> None:
    figure.legend(
        handles=list(handles), loc="upper left", bbox_to_anchor=(0.0, 1 - 0.2 / figure.get_figheight()), ncols=NAMES, fontsize=6,
        columnspacing=1.0, handlelength=2.4, handletextpad=0.4, frameon=False,
    )  # fmt: skip


FIGURES = {"savings": savings, "loss_vs_flops": loss_vs_flops, "pairs_vs_flops": pairs_vs_flops}
