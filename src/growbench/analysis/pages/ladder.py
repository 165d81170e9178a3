"""The page of a ladder: what its rungs say together, from the ladder's own tables."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from growbench.analysis import stability, wording
from growbench.analysis.frames.accounting import FRONTIER
from growbench.analysis.frames.measured import interval_of
from growbench.analysis.ladder.frames import AT, LEVELS
from growbench.analysis.ladder.rung import Rung
from growbench.analysis.pages.markdown import grid
from growbench.analysis.statistics.savings import AT_FIRST

Frames = Mapping[str, pd.DataFrame]
BASELINES = {FRONTIER: "against the best model from scratch of any size", "total": "against scratch"}


def build(rungs: Sequence[Rung], frames: Frames, missing: Sequence[str]) -> str:
    """Return the page. frames: the ladder's tables by name. missing: studies that have no tables yet."""
    parts = ["# The ladder", _rungs(rungs, missing)]
    parts += [_claims(frames["claims"])]
    parts += [_savings(rungs, frames["savings"], accounting) for accounting in BASELINES]
    parts += [
        _profiles(frames["profiles"]),
        _sizes(frames["sizes"]),
        _sources(frames["sources"]),
        _crossings(frames["crossings"]),
    ]
    return "\n".join(part for part in parts if part)


def _rungs(rungs: Sequence[Rung], missing: Sequence[str]) -> str:
    rows = []
    for rung in rungs:
        facts, tpp = rung.facts(), rung.measured.own("scratch")["tpp"]
        sizes = [wording.number(facts[key] / 1e3, 0) for key in ("source_parameters", "target_parameters")]
        points = f"{wording.tpp(tpp.min())} to {wording.tpp(tpp.max())}"
        rows.append([rung.study, wording.scale(rung.points), *sizes, points, str(rung.seeds)])
    head = [
        "rung",
        "models (layers, hidden)",
        "source, thousands",
        "target, thousands",
        "tokens per parameter",
        "seeds",
    ]
    origin = wording.provenance(pd.concat([rung.points for rung in rungs], ignore_index=True))
    left = f"\nNot run yet: {', '.join(missing)}.\n" if missing else ""
    found = [f"\n{rung.study}: {words}\n" for rung in rungs if (words := stability.sentence(rung.measured))]
    caption = f"Source and target are in parameters, embeddings included. Records: {origin}.\n"
    return f"{grid(head, rows, left=(0, 1))}\n{caption}{left}{''.join(found)}"


def _claims(table: pd.DataFrame) -> str:
    rows = [
        [row["claim"], row["about"], _range(row), wording.number(row["value"], 3) + wording.ends({"v_lo": row["lo"], "v_hi": row["hi"]}, "v", 3), row["verdict"]]
        for row in table.to_dict("records")
    ]  # fmt: skip
    head = ["prediction", "about", "predicted", "measured", "verdict"]
    return (
        f"## Predictions\n\n{grid(head, rows, left=(0, 1))}\nThe predictions and their thresholds were written down before the "
        "runs (docs/LOG.md). One holds if all of its 95 % interval lies on the predicted side, and fails if all of it lies on the "
        "other. One without an interval is judged by its value.\n"
    )


def _range(row: Mapping[Any, Any]) -> str:
    low, high = (None if abs(row[key]) == float("inf") else f"{row[key]:g}" for key in ("above", "below"))
    if low is None:
        return f"below {high}"
    return f"above {low}" if high is None else f"{low} to {high}"


def _savings(rungs: Sequence[Rung], table: pd.DataFrame, accounting: str) -> str:
    parts = [f"## Saving {BASELINES[accounting]}, everything counted\n"]
    for rung in rungs:
        own = table[(table["rung"] == rung.study) & (table["accounting"] == accounting)]
        columns = _columns(own, rung.placebos)
        rows = [[name, *(_cell(own[own["method"] == name], point) for point in columns)] for name in rung.bases]
        rows = [row for row in rows if any(cell != wording.MISSING for cell in row[1:])]
        if rows:
            head = [rung.study, *(f"{wording.tpp(point)} tpp" for point in columns)]
            parts.append(grid(head, rows))
    parts.append(
        "In percent of FLOPs, at equal loss, with 95 % t intervals over seeds. tpp: tokens per parameter of the target that these "
        "FLOPs buy scratch; a point up to 10 % away stands in the same column. ≥: a lower bound, because the method is below that "
        "loss at its own first point.\n"
    )
    return "\n".join(parts)


def _columns(rows: pd.DataFrame, placebos: Sequence[str]) -> list[float]:
    """Return the tokens per parameter that have a column: all that differ by more than a tenth, those of placebos last."""
    columns: list[float] = []
    is_placebo = rows["method"].isin(placebos)
    for point in [*rows[~is_placebo]["tpp"].round(1).sort_values(), *rows[is_placebo]["tpp"].round(1).sort_values()]:
        if all(not 1 / 1.1 < point / column < 1.1 for column in columns):
            columns.append(float(point))
    return sorted(columns)


def _cell(rows: pd.DataFrame, tpp: float) -> str:
    near = rows[(rows["tpp"] / tpp).between(0.91, 1.1)]
    if near.empty:
        return wording.MISSING
    row = near.iloc[0]
    if pd.isna(row["saving"]):
        return str(row["status"])
    ends = {"v_lo": row["lo"], "v_hi": row["hi"]}
    bound = "≥ " if row["status"] == AT_FIRST else ""
    return bound + wording.number(100 * row["saving"]) + wording.ends(ends, "v", 1, scale=100)


def _profiles(table: pd.DataFrame) -> str:
    own = table[table["accounting"] == FRONTIER]
    rows = []
    for method, group in own.groupby("method", sort=False):
        shares = dict(zip(group["saving"], group["share"], strict=True))
        rows.append(
            [str(method), str(group["cells"].iloc[0]), *(wording.percent(shares.get(level), 0) for level in LEVELS)]
        )
    head = ["method", "cells", *(f"≥ {100 * level:g} %" for level in LEVELS)]
    return (
        f"## How often a method saves\n\n{grid(head, rows)}\nShare of all cells (rung, point, seed) in which it saves at least so "
        "much against the best model from scratch, everything counted. Cells that can only be bounded are left out.\n"
    )


def _sizes(table: pd.DataFrame) -> str:
    if table.empty:
        return ""
    rows = [
        [row["method"], BASELINES[row["accounting"]], wording.number(row["slope"], 3, sign=True) + wording.ends({"v_lo": row["lo"], "v_hi": row["hi"]}, "v", 3, sign=True), row["rungs"]]
        for row in table.to_dict("records")
    ]  # fmt: skip
    head = ["method", "baseline", "slope", "rungs"]
    return (
        f"## Against size\n\n{grid(head, rows, left=(0, 1, 3))}\nChange of the saving at {AT:g} tokens per parameter for a target with "
        "e times as many parameters; least squares over rungs, with the 95 % t interval of the slope from three rungs on.\n"
    )


def _sources(table: pd.DataFrame) -> str:
    if table.empty:
        return ""
    rows = [
        [row["rung"], row["method"], wording.tpp(row["source_tpp"]), wording.number(row["final_loss"], 4), *(_interval(row, name) for name in BASELINES)]
        for row in table.to_dict("records")
    ]  # fmt: skip
    head = ["rung", "method", "source, tpp", "final loss", *(f"saving {words}" for words in BASELINES.values())]
    return f"## Against the source's training\n\n{grid(head, rows, left=(0, 1))}\nThe total is the same in all rows of a rung.\n"


def _interval(row: Mapping[Any, Any], accounting: str) -> str:
    name = f"saving_{accounting}"
    own, values = interval_of(row, f"{name}_").removesuffix("_"), {str(key): value for key, value in row.items()}
    return wording.number(100 * row[name]) + wording.ends(values, own, 1, scale=100)


def _crossings(table: pd.DataFrame) -> str:
    if table.empty:
        return ""
    rows = [
        [row["rung"], wording.number(row["tpp"]), f"{wording.number(row['lowest'])} to {wording.number(row['highest'])} ({row['n']})", wording.number(row["predicted"]), wording.number(row["ratio"], 2)]
        for row in table.to_dict("records")
    ]  # fmt: skip
    head = ["rung", "crossing, tpp", "of single seeds (number)", "20 N_s / N_t", "ratio"]
    return (
        f"## Where scratch overtakes the small model\n\n{grid(head, rows)}\nAt more tokens per parameter of the target, scratch ends "
        "below the small model trained with equal FLOPs. –: their curves do not cross between their points.\n"
    )
