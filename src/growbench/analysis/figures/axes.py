"""Axes and labels: logarithmic FLOPs with round ticks, numbers as text, names beside the ends of lines, intervals."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from growbench.analysis.statistics.intervals import Floats, mean_interval
from growbench.analysis.statistics.savings import AT_FIRST, NOT_REACHED

PERCENT = (90, 75, 50, 25, 10, 5, 2, 0, -2, -5, -10, -25, -50, -100, -200, -400, -900)  # savings that may be ticks
ROOM = 0.12  # share of the axis between two of them, at least
FINE = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
DIGITS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def mean_with_bars(values: Floats) -> tuple[float, float, float]:
    """Return the mean of one value per seed, and the lengths of its interval below and above (0 for one seed)."""
    ends, mean = mean_interval(values), float(np.mean(values))
    below = 0.0 if ends.lo is None else max(0.0, mean - ends.lo)
    return mean, below, 0.0 if ends.hi is None else max(0.0, ends.hi - mean)


def signed(value: float, digits: int = 2) -> str:
    """Return a difference with its sign; zero has none."""
    text = f"{value:+.{digits}f}".replace("-", "−")
    return text[1:] if not float(f"{value:.{digits}f}") else text


def end_labels(axes: Axes, ends: Sequence[tuple[str, float, float, str]], inch: float, size: float = 6.5) -> None:
    """Write names to the right of the axes, beside the ends of their lines, moved apart where they would overlap.

    ends: (name, x, y, color) of each line. inch: the axes' height in inches.
    """
    low, high = axes.get_ylim()
    rows = sorted(ends, key=lambda row: row[2])
    gap = 1.25 * size / 72 / inch
    wanted = [(y - low) / (high - low) for _, _, y, _ in rows]
    for (name, x, y, color), place in zip(rows, apart(wanted, gap), strict=True):
        axes.annotate(
            name, (x, y), xytext=(1.03, place), textcoords="axes fraction", fontsize=size, color=color, va="center",
            annotation_clip=False, arrowprops={"arrowstyle": "-", "color": color, "lw": 0.5, "shrinkA": 0, "shrinkB": 3, "relpos": (0, 0.5)},
        )  # fmt: skip


def apart(places: Sequence[float], gap: float) -> list[float]:
    """Return increasing places, moved as little as possible to be `gap` apart: neighbors merge into evenly spaced groups."""
    groups: list[list[float]] = []
    for place in places:
        groups.append([place])
        while (
            len(groups) > 1
            and _middle(groups[-1]) - _middle(groups[-2]) < gap * (len(groups[-1]) + len(groups[-2])) / 2
        ):
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_middle(group) + gap * (i - (len(group) - 1) / 2) for group in groups for i in range(len(group))]


def _middle(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def saving_height(saving: "pd.Series[float]") -> "pd.Series[float]":
    """Return where savings lie: log(F_baseline / F), so that half and twice the FLOPs are equally far from 0."""
    return -np.log1p(-saving.astype(np.float64))


def saving_line(axes: Axes, rows: pd.DataFrame, color: str, marker: str, size: float) -> None:
    """Draw one method's savings over tokens per parameter: its line, its t band or, for a single point, its bar.

    A mark above a point says that it is a bound, a cross at the bottom that the loss was not reached. rows: of
    savings_by_point, sorted by tpp.
    """
    if rows.empty:
        return
    low, high = axes.get_ylim()
    y, lower, upper = (saving_height(rows[name]) for name in ("saving", "lo", "hi"))
    ends = lower.fillna(y), upper.fillna(y.where(rows["status"] != AT_FIRST, high))  # a bound has no upper end
    if y.notna().sum() > 1:
        axes.fill_between(rows["tpp"], *ends, color=color, alpha=0.22, lw=0)
    else:
        axes.vlines(rows["tpp"], *ends, color=color, lw=1)
    axes.plot(rows["tpp"], y, color=color, marker=marker, ms=size, lw=1, mec="white", mew=0.3, zorder=5)
    bounded, missed = rows["status"] == AT_FIRST, rows["status"] == NOT_REACHED
    axes.plot(rows["tpp"][bounded], y[bounded] + 0.07 * (high - low), marker=2, ls="", color=color, ms=4)
    axes.plot(rows["tpp"][missed], [low + 0.06 * (high - low)] * missed.sum(), "x", color=color, ms=3.5, mew=0.8)
    axes.set_ylim(low, high)


def saving_axis(axes: Axes, room: float = ROOM) -> None:
    """Label a y axis of `saving_height` with round savings in percent, as many as have room; 0 always."""
    low, high = axes.get_ylim()
    kept = [0.0]
    for place in sorted((p for p in (-math.log1p(-percent / 100) for percent in PERCENT) if low < p < high), key=abs):
        if all(abs(place - other) >= room * (high - low) for other in kept):
            kept.append(place)
    axes.yaxis.set_major_locator(FixedLocator(sorted(kept)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{-100 * math.expm1(-value):.0f}".replace("-", "−")))


def flops_axis(axes: Axes, low: float, high: float, label: str, most: int = 5) -> None:
    """Make x logarithmic from `low` to `high` FLOPs with at most `most` round ticks."""
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(round_ticks(low, high, most)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(power))
    axes.set_xlabel(label)


def round_ticks(low: float, high: float, most: int) -> list[float]:
    """Return at most `most` round ticks of a logarithmic axis, as fine as their labels have room."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)

    def ticks(steps: Sequence[float]) -> list[float]:
        return [m * 10.0**k for k in decades for m in steps if low <= m * 10.0**k <= high]

    room = math.log(high / low) / (most + 0.8)
    for steps in (FINE, (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        found = ticks(steps)
        if 2 <= len(found) <= most and all(math.log(b / a) >= room for a, b in itertools.pairwise(found)):
            return found
    powers, fine = ticks((1,)), ticks(FINE)
    if len(powers) > most:
        return powers[:: -(-len(powers) // most)]
    inner = [t for t in fine if 0.05 < math.log(t / low) / math.log(high / low) < 0.85] or fine
    return [inner[0], inner[-1]] if len(inner) > 1 else inner


def power(value: float, _: int | None = None) -> str:
    """Return e.g. `2×10¹³`."""
    mantissa, exponent = f"{value:.1e}".split("e")
    text = f"10{str(int(exponent)).translate(DIGITS)}"
    return text if mantissa == "1.0" else f"{float(mantissa):g}×{text}"
