"""The scores frame: one row per method, finished point and task, and one for the average over tasks.

Under protocol single, a score belongs to one fine-tuning run. Under protocol grid, it is the best score on the
development set over all LRs and seeds that were tried for one pre-training run and task.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from growbench.analysis.frames import Record, resampled
from growbench.analysis.statistics.intervals import mean_interval

AVERAGE = "average"
KEYS = ["method", "point"]
SINGLE, GRID, PROBE = "single", "grid", "probe"  # finetune.protocol
FLOORS = ("random_model", "bag_of_words")
OF_ROWS = {"cut": ("n_cut_train", "n_cut_dev"), "unreached": ("n_unreached",)}
LEAD = ["study", "suite", "protocol", "method", "point", "fraction", "flops", "flops_total"]


def runs(records: list[Record]) -> pd.DataFrame:
    """Return one row per fine-tuning run. A failed run keeps its score; a run without a score counts as 0.

    Records that do not name a protocol have protocol single.
    """
    rows = [
        {
            "study": record["study"],
            "suite": record["suite"],
            "protocol": record.get("protocol", SINGLE),
            **{k: record[k] for k in ("method", "seed", "point")},
            "task": run["task"],
            "finetune_seed": run["seed"],
            "metric": run["main_metric"],
            "tried": 1,
            "score": 0.0 if run["score"] is None else float(run["score"]),
            **{k: run[k] for k in ("majority", "failed", "subset", "n_train", "n_dev")},
            **{name: _share(run, keys) for name, keys in OF_ROWS.items()},
            **{name: (run.get("floors") or {}).get(name) for name in FLOORS},
        }
        for record in records
        for run in record["runs"]
    ]
    measured = dict.fromkeys((*OF_ROWS, *FLOORS), "float64")  # None is not a number
    return pd.DataFrame(rows).astype(measured) if rows else pd.DataFrame(rows)


def _share(run: Record, keys: Sequence[str]) -> float | None:
    """Return the sum of these counts as a share of the rows of both files; None if they were not recorded."""
    counts = [run.get(key) for key in keys]
    known = [count for count in counts if count is not None]
    return float(sum(known)) / (run["n_train"] + run["n_dev"]) if len(known) == len(counts) else None


def build(records: list[Record], points: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Return mean, median, best and spread over pre-training x fine-tuning seeds; scores are shares (0 to 1).

    Under protocol grid these are over pre-training seeds, each with its best score on the development set.
    If the source was fine-tuned, its rows come last.

    Columns:
    tried: number of fine-tuning runs behind one score.
    lo, hi: 95 % t interval of the mean over pre-training seeds.
    cut: share of the rows of both files that were cut; unreached: that use positions which pre-training never reached.
    random_model, bag_of_words: a probe's floors, the mean over its runs.
    gap: mean minus scratch's mean at the same point, paired by seed.
    gap_multi_lo, gap_multi_hi: its interval with the examples resampled, too; only if the records keep predictions. Under
    protocol grid these are the examples of the best runs; the choice of the best is not repeated.

    For the average over tasks, the mean is taken within each run first, so `best` is the best single run.
    """
    table = chosen(resampled.added(runs(records), resampled.of_finetuning(records)))
    if table.empty:
        return pd.DataFrame(columns=[*LEAD, "task", "metric", "mean"])
    table = pd.concat([table, _averages(table)], ignore_index=True)
    tasks = list(dict.fromkeys(table["task"]))
    cost = points.groupby(KEYS)[["fraction", "flops", "flops_total"]].mean()
    rows = []
    for method in methods:
        own = table[table["method"] == method]
        names = sorted(set(own["point"]), key=lambda p: cost.loc[(method, p), "fraction"])
        for point in names:
            here = table[table["point"] == point]
            place = {"method": method, "point": point, **cost.loc[(method, point)].to_dict()}
            rows += [{**place, **_row(here[here["task"] == task], method)} for task in tasks]
    frame = pd.DataFrame(rows)
    return frame[LEAD + [name for name in frame if name not in LEAD]]


def chosen(table: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that count as scores: the best of every grid under protocol grid, otherwise all."""
    if table.empty:
        return table
    best = _best(table[table["protocol"] == GRID])
    return pd.concat([table[table["protocol"] != GRID], best], ignore_index=True)


def _best(table: pd.DataFrame) -> pd.DataFrame:
    """Return the best run of each grid, one per pre-training run and task; `failed` counts all failed runs of the grid."""
    keys = ["method", "seed", "point", "task"]
    grids = table.groupby(keys, sort=False)
    best = table.loc[grids["score"].idxmax()]
    tried = grids[["tried", "failed"]].sum().loc[pd.MultiIndex.from_frame(best[keys])] if len(table) else best
    return best.assign(tried=tried["tried"].to_numpy(), failed=tried["failed"].to_numpy(), finetune_seed=-1)


def _averages(table: pd.DataFrame) -> pd.DataFrame:
    keys = ["study", "suite", "protocol", "method", "seed", "point", "finetune_seed"]
    grouped = table.groupby(keys, as_index=False, sort=False)
    averages = grouped.agg(
        score=("score", "mean"),
        majority=("majority", "mean"),
        **{name: (name, "mean") for name in (*OF_ROWS, *FLOORS)},
        failed=("failed", "sum"),
        subset=("subset", "any"),
        n_train=("n_train", "sum"),
        n_dev=("n_dev", "sum"),
        tried=("tried", "sum"),
        **({"draws": ("draws", list)} if "draws" in table else {}),
    )
    if "draws" in table:
        averages["draws"] = averages["draws"].map(resampled.mean)
    return averages.assign(task=AVERAGE, metric="mean over tasks")


def _row(table: pd.DataFrame, method: str) -> dict[str, Any]:
    rows = table[table["method"] == method]
    scores = rows["score"].to_numpy(dtype=np.float64)
    seeds = rows.groupby("seed")["score"].mean().sort_index()
    base = table[table["method"] == "scratch"]
    gaps = (seeds - base.groupby("seed")["score"].mean().sort_index()).dropna()
    difference = gaps.to_numpy(dtype=np.float64)
    ends, gap = mean_interval(seeds.to_numpy(dtype=np.float64)), mean_interval(difference)
    first = rows.iloc[0]
    return {
        **{k: first[k] for k in ("study", "suite", "protocol", "task", "metric")},
        "mean": scores.mean(),
        "lo": ends.lo,
        "hi": ends.hi,
        "median": float(np.median(scores)),
        "best": scores.max(),
        "std": scores.std(ddof=1) if len(scores) > 1 else None,
        "n": len(scores),
        "n_seeds": len(seeds),
        "tried": int(first["tried"]),
        "majority": rows["majority"].mean(),
        "failed": int(rows["failed"].sum()),
        "subset": bool(rows["subset"].any()),
        "n_train": int(first["n_train"]),
        "n_dev": int(first["n_dev"]),
        **{name: rows[name].mean() for name in (*OF_ROWS, *FLOORS)},
        "gap": difference.mean() if len(difference) else None,
        "gap_lo": gap.lo,
        "gap_hi": gap.hi,
        **resampled.ends(gaps, rows, base, int(first["n_dev"])),
    }
