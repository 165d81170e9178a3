"""The tables of a ladder: savings of all rungs, against size and against the source's training, crossings, and profiles."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from growbench.analysis.frames.accounting import ACCOUNTINGS, FRONTIER
from growbench.analysis.frames.measured import LONGER, SCRATCH, interval_of
from growbench.analysis.ladder.regression import fit
from growbench.analysis.ladder.rung import Rung
from growbench.analysis.statistics.reading import Line
from growbench.analysis.statistics.savings import AT_FIRST, NOT_COMMON, NOT_REACHED, measure_at, share

COUNTED = ("total", FRONTIER)  # everything counted: against scratch, and against the best model from scratch
AT = 5.0  # tokens per parameter at which sizes are compared
CHINCHILLA = 20.0  # tokens per parameter at which a model is about the best for its FLOPs
ROUNDING = 1e-9
LEVELS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3)  # savings of a profile


def savings(rungs: Sequence[Rung]) -> pd.DataFrame:
    """Return the savings_by_point tables of all rungs with everything counted, and what each rung is."""
    made = []
    for rung in rungs:
        rows = rung.by_point[rung.by_point["accounting"].isin(COUNTED)].drop(columns="study")
        made.append(rows.assign(**rung.facts(), base=rows["method"].map(rung.bases)))
    frame = pd.concat(made, ignore_index=True)
    first = [*rungs[0].facts(), "method", "base"]
    return frame[[*first, *(name for name in frame if name not in first)]]


def sizes(rungs: Sequence[Rung], tpp: float = AT) -> pd.DataFrame:
    """Return, by method and baseline, how the saving at a number of tokens per parameter changes with the target's size.

    Least squares over the logarithm of the target's parameters, of rungs that differ in nothing but width: one family, one
    depth, twice the source's width; of several of one size the first. Columns: `slope` per factor of e with its 95 % t
    interval (lo, hi), `intercept`, and `rungs`, by name. Methods with a saving on fewer than two such rungs are left out.
    """
    alike: dict[str, Rung] = {}
    for rung in filter(_doubles, rungs):
        alike.setdefault(rung.facts()["target"], rung)
    rows = []
    for method in dict.fromkeys(name for rung in alike.values() for name in rung.bases if name != SCRATCH):
        for accounting in COUNTED:
            found = [(rung, row) for rung in alike.values() if (row := rung.row(method, accounting, tpp))]
            found = [(rung, row) for rung, row in found if not pd.isna(row["saving"])]
            if len(found) < 2:
                continue
            x, y = np.log([rung.target for rung, _ in found]), np.array([row["saving"] for _, row in found])
            line = fit(x, y)
            rows.append({
                "method": method, "accounting": accounting, "tpp": tpp, "slope": line.slope, "lo": line.interval.lo,
                "hi": line.interval.hi, "intercept": line.intercept, "rungs": " ".join(rung.study for rung, _ in found),
            })  # fmt: skip
    return pd.DataFrame(rows, columns=["method", "accounting", "tpp", "slope", "lo", "hi", "intercept", "rungs"])


def _doubles(rung: Rung) -> bool:
    """Whether a rung grows a decoder of four layers to twice its width, as A, B and C do."""
    (small_layers, small), (layers, hidden) = (_shape(rung.facts()[key]) for key in ("source", "target"))
    return rung.facts()["family"] == "gpt2" and small_layers == layers == 4 and hidden == 2 * small


def _shape(words: Any) -> tuple[int, int]:
    """Return layers and width of a shape such as (4, 64); zeros of none."""
    numbers = str(words).strip("()").split(",")
    return (int(numbers[0]), int(numbers[1])) if len(numbers) > 1 else (0, 0)


def of_source(rungs: Sequence[Rung]) -> pd.DataFrame:
    """Return the savings at the last point of rungs whose methods grow sources that were trained for different lengths."""
    rows = []
    for rung in rungs:
        trained = rung.savings.loc[rung.savings["method"].isin(rung.growing), "source_tpp"].dropna()
        if trained.round(2).nunique() < 2:
            continue
        for row in rung.savings.sort_values("source_tpp").to_dict("records"):
            if pd.isna(row["source_tpp"]) or row["method"] not in rung.growing:
                continue
            names = [(f"saving_{of}", interval_of(row, f"saving_{of}_")) for of in COUNTED]
            ends = {key: row[key] for name, own in names for key in (name, f"{own}lo", f"{own}hi")}
            rows.append({"rung": rung.study, "method": row["method"], "source_tpp": row["source_tpp"], "n": row["n"],
                         "final_loss": row["final_loss"], **ends})  # fmt: skip
    return pd.DataFrame(rows)


def crossings(rungs: Sequence[Rung]) -> pd.DataFrame:
    """Return where scratch and the small model, trained with equal FLOPs, end at equal loss, in tokens per parameter.

    Columns: `tpp` of the target at the crossing of the means over seeds (NaN if the curves do not cross between their
    points), `lowest` and `highest` crossing of single seeds, `predicted` = 20 source_parameters / target_parameters, and
    `ratio` of tpp to it.
    """
    rows = []
    for rung in rungs:
        if not rung.measured.has(LONGER):
            continue
        big, small = (rung.measured.curve(name, "flops_total") for name in (SCRATCH, LONGER))
        last = rung.measured.final(SCRATCH)
        rate = float((last["tpp"] / last["flops"]).mean())
        mean = [Line.of(curve.cost.mean(axis=0), curve.loss.mean(axis=0)[None]) for curve in (big, small)]
        own = [crossing(big.line(i), small.line(i)) for i in range(len(big.loss))]
        seeds = [at * rate for at in own if at is not None]
        at = crossing(*mean)
        tpp, predicted = float("nan") if at is None else at * rate, CHINCHILLA * rung.source / rung.target
        rows.append({"rung": rung.study, "tpp": tpp, "lowest": min(seeds, default=float("nan")),
                     "highest": max(seeds, default=float("nan")), "n": len(seeds), "predicted": predicted,
                     "ratio": tpp / predicted})  # fmt: skip
    columns = ["rung", "tpp", "lowest", "highest", "n", "predicted", "ratio"]
    return pd.DataFrame(rows, columns=columns)


def crossing(first: Line, second: Line) -> float | None:
    """Return the FLOPs above which the first of two lines stays below the second; None if it does so nowhere, or throughout.

    Losses between points are read as statistics/reading.py says.
    """

    def gap(log: float) -> float:
        return float(first.at(np.exp(log))[0] - second.at(np.exp(log))[0])

    low, high = max(first.cost[0], second.cost[0]), min(first.cost[-1], second.cost[-1])
    logs = np.log(
        np.unique([cost for line in (first, second) for cost in line.cost if low <= cost <= high] + [low, high])
    )
    above = np.flatnonzero([gap(log) > 0 for log in logs])
    if not len(above) or above[-1] == len(logs) - 1:
        return None
    return float(np.exp(brentq(gap, *logs[above[-1] : above[-1] + 2])))


def profiles(rungs: Sequence[Rung]) -> pd.DataFrame:
    """Return in which share of all cells (rung, point, seed) a method saves at least so much, with everything counted.

    A cell in which the method is not reached counts as one without a saving. One without common FLOPs does not count, nor one
    that can only be bounded, as a method's first point often is.
    """
    rows = []
    for method in dict.fromkeys(name for rung in rungs for name in rung.bases if name != SCRATCH):
        for accounting in COUNTED:
            cells = [value for rung in rungs for value in _cells(rung, method, accounting)]
            rows += [
                {"method": method, "accounting": accounting, "saving": level, "cells": len(cells),
                 "share": float(np.mean([value >= level - ROUNDING for value in cells]))}
                for level in LEVELS
                if cells
            ]  # fmt: skip
    return pd.DataFrame(rows, columns=["method", "accounting", "saving", "cells", "share"])


def _cells(rung: Rung, method: str, accounting: str) -> list[float]:
    """Return the saving of a method in every seed at every point of a rung; minus infinity where it is not reached."""
    measured, cost = rung.measured, ACCOUNTINGS["total"]
    if not measured.has(method):
        return []
    baseline = measured.frontier() if accounting == FRONTIER else [measured.curve(SCRATCH, cost)]
    own, found = measured.own(method), []
    for point in dict.fromkeys(own["point"]):
        spent = own[own["point"] == point][cost].to_numpy(dtype=np.float64)
        saving = measure_at(measured.curve(method, cost), spent, *baseline)
        if saving.status == NOT_REACHED:
            found += [-np.inf] * saving.n
        elif saving.status not in (NOT_COMMON, AT_FIRST):
            found += [share(log) for log in saving.logs]
    return found
