"""The columns gap_multi_lo and gap_multi_hi: the interval of a gap over seeds x fine-tuning runs x examples.

A table of runs has the column `draws` if its records keep what single examples gave: the scores on resampled examples, or
None.
"""

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from growbench.analysis.frames import Record
from growbench.analysis.statistics import examples
from growbench.analysis.statistics.intervals import Floats, Interval
from growbench.records import outcomes, predictions

Draws = Floats | None


def of_finetuning(records: list[Record]) -> list[Draws]:
    """Return the draws of every fine-tuning run, in the order of records and runs."""
    found: list[Draws] = []
    for record in records:
        kept = {(one.task, one.seed, one.lr): one for one in predictions.examples(record)}
        for run in record["runs"]:
            one = kept.get((run["task"], run["seed"], run["lr"]))
            found.append(None if one is None else _of_run(run, one))
    return found


def _of_run(run: Record, kept: predictions.Examples) -> Draws:
    """Return the draws of a run; a run without a score counts as 0."""
    return np.zeros(examples.RESAMPLES) if run["score"] is None else examples.of_run(run["main_metric"], kept)


def of_pairs(run: Record, metric: str) -> Draws:
    """Return the draws of a zero-shot run on minimal pairs; None for other metrics than the mean over kinds."""
    kinds = run.get("outcomes") or {}
    if run["failed"] or not kinds or metric != run["main_metric"]:
        return None
    return examples.of_outcomes(run["task"], {kind: outcomes.unpacked(kept) for kind, kept in kinds.items()})


def added(table: pd.DataFrame, draws: list[Draws]) -> pd.DataFrame:
    """Return the table with the column `draws`, if any run has some."""
    if all(one is None for one in draws):
        return table
    return table.assign(draws=pd.Series(draws, index=table.index, dtype=object))


def mean(draws: list[Draws]) -> Draws:
    """Return the mean of the draws of several runs or tasks; None if one has none."""
    known = [one for one in draws if one is not None]
    return np.mean(known, axis=0) if known and len(known) == len(draws) else None


def ends(gaps: "pd.Series[float]", rows: pd.DataFrame, base: pd.DataFrame, count: int) -> dict[str, float | None]:
    """Return gap_multi_lo and gap_multi_hi; both are None if a run has no draws, and there are no columns without any.

    gaps: by seed. rows, base: the runs of the method and of scratch. count: examples of the test set.
    """
    if "draws" not in rows:
        return {}
    own, other = _by_seed(rows), _by_seed(base)
    pairs = [(own.get(seed), other.get(seed)) for seed in gaps.index]
    known = [one - two for one, two in pairs if one is not None and two is not None]
    found = Interval()
    if known and len(known) == len(pairs):
        found = examples.gap_interval(gaps.to_numpy(dtype=np.float64), np.stack(known, axis=1), count)
    return {"gap_multi_lo": found.lo, "gap_multi_hi": found.hi}


def _by_seed(rows: pd.DataFrame) -> dict[Hashable, Any]:
    return {seed: mean(list(own["draws"])) for seed, own in rows.groupby("seed")}
