"""The scores frame: one row per method, finished point and task, and one for the average over tasks.

Under protocol single, a score belongs to one fine-tuning run. Under protocol grid, it is the best score on the
development set over all LRs and seeds that were tried for one pre-training run and task. Under protocol held_out, the LR
with the best mean on held-out training rows is chosen for each of them, and every seed's score at this LR counts.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from growbench.analysis.frames import Record, resampled
from growbench.analysis.statistics.intervals import mean_interval

AVERAGE = "average"
KEYS = ["method", "point"]
SINGLE, GRID, HELD_OUT, PROBE = "single", "grid", "held_out", "probe"  # finetune.protocol
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
            "lr": run["lr"],
            "held_out": run.get("held_out"),
            "finetune_flops": run.get("flops"),
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
    measured = dict.fromkeys((*OF_ROWS, *FLOORS, "held_out", "finetune_flops"), "float64")  # None is not a number
    table = pd.DataFrame(rows).astype(measured) if rows else pd.DataFrame(rows)
    return table.assign(below=table["score"] < table["majority"]) if rows else table


def _share(run: Record, keys: Sequence[str]) -> float | None:
    """Return the sum of these counts as a share of the rows of both files; None if they were not recorded."""
    counts = [run.get(key) for key in keys]
    known = [count for count in counts if count is not None]
    return float(sum(known)) / (run["n_train"] + run["n_dev"]) if len(known) == len(counts) else None


def build(records: list[Record], points: pd.DataFrame, methods: Sequence[str], counted: bool = False) -> pd.DataFrame:
    """Return mean, median, best and spread over pre-training x fine-tuning seeds; scores are shares (0 to 1).

    Under protocol grid these are over pre-training seeds, each with its best score on the development set.
    Protocol held_out has as many scores as protocol single. If the source was fine-tuned, its rows come last.

    counted: whether the FLOPs of fine-tuning, all runs tried, are part of the cost.

    Columns:
    flops, flops_total: of pre-training, and of fine-tuning if that is counted (column counted).
    tried: number of fine-tuning runs behind one score; finetune_flops: their FLOPs, the mean over scores.
    failed, below: number of runs that failed, and that score less than the majority class.
    range: the widest range of the scores of one pre-training run over fine-tuning seeds; None with one seed.
    lo, hi: 95 % t interval of the mean over pre-training seeds.
    cut: share of the rows of both files that were cut; unreached: that use positions which pre-training never reached.
    random_model: a probe's floor; without probes, the score of scratch right after its start. bag_of_words: of scratch alone
    without probes. Both are means over runs.
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
    frame = _with_random(pd.DataFrame(rows))
    if counted:
        spent = frame.groupby(KEYS)["finetune_flops"].transform("max")  # of the average, which sums over tasks
        frame = frame.assign(**{name: frame[name] + spent for name in ("flops", "flops_total")})
    frame = frame.assign(counted=counted)
    return frame[LEAD + [name for name in frame if name not in LEAD]]


def _with_random(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with the scores of scratch's random model where there are no probes of one."""
    start = frame[(frame["method"] == "scratch") & (frame["fraction"] == 0)].groupby("task")["mean"].first()
    return frame.assign(random_model=frame["random_model"].fillna(frame["task"].map(start)))


def chosen(table: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that count as scores: the best of every grid, those at the LR that held-out rows choose, or all."""
    if table.empty:
        return table
    parts = {name: table[table["protocol"] == name] for name in (GRID, HELD_OUT)}
    others = table[~table["protocol"].isin(parts)]
    return pd.concat([others, _best(parts[GRID]), _held_out(parts[HELD_OUT])], ignore_index=True)


def _held_out(table: pd.DataFrame) -> pd.DataFrame:
    """Return every seed's run at the LR with the best mean score on held-out rows, for each pre-training run and task.

    Of equal LRs, the smallest. A run without a score on them counts as the worst.
    """
    if table.empty:
        return table
    keys = ["method", "seed", "point", "task"]
    means = table.assign(held_out=table["held_out"].fillna(-np.inf)).groupby([*keys, "lr"])["held_out"].mean()
    best = means.groupby(keys).idxmax().map(lambda place: place[-1])
    of_seed = table.groupby([*keys, "finetune_seed"])[["tried", "finetune_flops"]].transform("sum", min_count=1)
    all_runs = table.assign(tried=of_seed["tried"].astype(int), finetune_flops=of_seed["finetune_flops"])
    return all_runs[all_runs["lr"].to_numpy() == best.loc[pd.MultiIndex.from_frame(table[keys])].to_numpy()]


def _best(table: pd.DataFrame) -> pd.DataFrame:
    """Return the best run of each grid, one per pre-training run and task; `failed` counts all failed runs of the grid."""
    keys = ["method", "seed", "point", "task"]
    grids = table.groupby(keys, sort=False)
    best = table.loc[grids["score"].idxmax()]
    if best.empty:
        return best
    sums = grids[["tried", "failed", "below", "finetune_flops"]].sum(min_count=1)
    tried = sums.loc[pd.MultiIndex.from_frame(best[keys])]
    return best.assign(**{name: tried[name].to_numpy() for name in sums}, finetune_seed=-1)


def _averages(table: pd.DataFrame) -> pd.DataFrame:
    keys = ["study", "suite", "protocol", "method", "seed", "point", "finetune_seed"]
    grouped = table.groupby(keys, as_index=False, sort=False)
    averages = grouped.agg(
        score=("score", "mean"),
        majority=("majority", "mean"),
        **{name: (name, "mean") for name in (*OF_ROWS, *FLOORS)},
        failed=("failed", "sum"),
        below=("below", "sum"),
        finetune_flops=("finetune_flops", lambda flops: flops.sum(min_count=len(flops))),
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
        "below": int(rows["below"].sum()),
        "range": _range(rows),
        "finetune_flops": rows["finetune_flops"].mean(),
        "subset": bool(rows["subset"].any()),
        "n_train": int(first["n_train"]),
        "n_dev": int(first["n_dev"]),
        **{name: rows[name].mean() for name in (*OF_ROWS, *FLOORS)},
        "gap": difference.mean() if len(difference) else None,
        "gap_lo": gap.lo,
        "gap_hi": gap.hi,
        **resampled.ends(gaps, rows, base, int(first["n_dev"])),
    }


def _range(rows: pd.DataFrame) -> float | None:
    """Return the widest range of the scores of one pre-training run; None if each was fine-tuned once."""
    of_seeds = rows.groupby("seed")["score"]
    return float((of_seeds.max() - of_seeds.min()).max()) if of_seeds.size().max() > 1 else None
