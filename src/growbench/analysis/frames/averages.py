"""The averages frame: one row per method and fine-tuned point, over all tasks (statistics/reliable.py defines them)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from growbench.analysis.statistics import reliable
from growbench.analysis.statistics.intervals import Floats
from growbench.errors import GrowBenchError

LEAD = ["study", "suite", "method", "point"]


def build(runs: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Return normalized mean, IQM and probability of improvement over scratch. runs: as scores.runs returns them.

    A task that the majority class solves has no scale and is left out; n_tasks counts the tasks that remain.
    improvement: against scratch at the same point, None if scratch does not have that point.
    """
    if runs.empty:
        return pd.DataFrame(columns=[*LEAD, "mean", "iqm"])
    usable = runs[runs.groupby("task")["majority"].transform("max") < 1]
    tasks = list(dict.fromkeys(usable["task"]))
    rows = []
    for method in methods:
        own = runs[runs["method"] == method]
        for point in dict.fromkeys(own["point"]):
            here = usable[usable["point"] == point]
            first = own.iloc[0]
            rows.append({**{k: first[k] for k in LEAD[:3]}, "point": point, **_row(here, method, tasks)})
    return pd.DataFrame(rows)


def _row(runs: pd.DataFrame, method: str, tasks: list[str]) -> dict[str, Any]:
    if not tasks:
        return {"mean": None, "iqm": None, "n_tasks": 0}
    own, scratch = grid(runs, method, tasks), grid(runs, "scratch", tasks)
    ends = reliable.iqm_interval(own)
    row = {
        "mean": float(own.mean()),
        "iqm": float(reliable.iqm(own.reshape(-1))),
        "iqm_lo": ends.lo,
        "iqm_hi": ends.hi,
        "n_tasks": len(tasks),
        "n_seeds": own.shape[0],
        "n": own.shape[0] * own.shape[1],
    }
    if method == "scratch" or not scratch.size:
        return row
    chance = reliable.improvement_interval(own, scratch)
    return row | {
        "improvement": reliable.improvement(own, scratch),
        "improvement_lo": chance.lo,
        "improvement_hi": chance.hi,
    }


def grid(runs: pd.DataFrame, method: str, tasks: Sequence[str]) -> Floats:
    """Return a method's normalized scores, shape (seeds, fine-tuning runs, tasks), seeds ascending; empty without runs.

    Raises GrowBenchError if the runs do not have the same tasks and seeds.
    """
    rows = runs[runs["method"] == method].sort_values(["seed", "finetune_seed"])
    sizes = (rows["seed"].nunique(), rows["finetune_seed"].nunique(), len(tasks))
    if len(rows) != np.prod(sizes):
        raise GrowBenchError(
            f"{method}: its runs do not have the same tasks and seeds; delete the record that differs and run its job again"
        )
    columns = [rows[rows["task"] == task] for task in tasks]
    values, majority = (
        np.stack([c[name].to_numpy(dtype=np.float64) for c in columns], axis=-1) for name in ("score", "majority")
    )
    return reliable.normalize(values, majority).reshape(sizes)
