"""The zero-shot frame: one row per method, finished point, test set and metric.

Lower perplexities and bits per byte, and higher accuracies, are better.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from growbench.analysis.frames import Record, resampled
from growbench.analysis.statistics.intervals import mean_interval

KEYS = ["method", "point"]
COUNTS = ("n_tokens", "n_words", "n_lines", "n_unknown", "n_cut")
LATER = ("n_pairs", "n_bytes")  # counts that records of before minimal pairs lack
LEAD = ["study", "method", "point", "fraction", "flops", "flops_total", "task", "metric", "main"]


def runs(records: list[Record]) -> pd.DataFrame:
    """Return one row per run, test set and metric; a failed run (nats not finite) may have no value."""
    rows = [
        {
            **{k: record[k] for k in ("study", "method", "seed", "point")},
            **{k: run[k] for k in ("task", "subset", "failed", *COUNTS)},
            **{k: run.get(k, 0) for k in LATER},
            "error": run.get("error") if metric == run["main_metric"] else None,
            **{k: record["window"][k] for k in ("length", "stride", "context")},
            "metric": metric,
            "main": metric == run["main_metric"],
            "value": np.nan if value is None else float(value),
        }
        for record in records
        for run in record["runs"]
        for metric, value in run["metrics"].items()
    ]
    draws = [resampled.of_pairs(run, name) for record in records for run in record["runs"] for name in run["metrics"]]
    return resampled.added(pd.DataFrame(rows), draws)


def misread(table: pd.DataFrame) -> bool:
    """Whether a table holds scores of windows that did not begin with [CLS], as training sequences do.

    Such windows held one token more. Models had never read one, and some lose 0.1 to 0.2 nats per token in it.
    """
    return bool((table["context"] > table["length"] - table["stride"]).any())


def build(records: list[Record], points: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Return mean and spread over pre-training seeds, in the metric's own unit (perplexity, bits, or a share from 0 to 1).

    lo, hi: 95 % t interval of the mean over seeds. gap: mean minus scratch's at the same point, paired by seed.
    gap_multi_lo, gap_multi_hi: of accuracies on minimal pairs, the gap's interval with the pairs of each kind resampled, too.
    error: standard error of one run's main score over the examples of the test set, the mean of the runs'; all runs have the
    same examples, so that more seeds do not make it smaller. None if it is not known.
    A run without a value counts in `failed` and is left out of the mean; n counts the runs in the mean.
    """
    table = runs(records)
    cost = points.groupby(KEYS)[["fraction", "flops", "flops_total"]].mean()
    rows = []
    for method in methods:
        own = table[table["method"] == method]
        for point in sorted(set(own["point"]), key=lambda p: cost.loc[(method, p), "fraction"]):
            here = table[table["point"] == point]
            place = {"method": method, "point": point, **cost.loc[(method, point)].to_dict()}
            for task, metric in dict.fromkeys(zip(here["task"], here["metric"], strict=True)):
                chosen = here[(here["task"] == task) & (here["metric"] == metric)]
                rows.append({**place, **_row(chosen, method)})
    frame = pd.DataFrame(rows)
    return frame[LEAD + [name for name in frame if name not in LEAD]]


def _row(table: pd.DataFrame, method: str) -> dict[str, Any]:
    rows = table[table["method"] == method]
    seeds = rows.set_index("seed")["value"].sort_index()
    base = table[table["method"] == "scratch"]
    gaps = (seeds - base.set_index("seed")["value"].sort_index()).dropna()
    values, difference = (s.dropna().to_numpy(dtype=np.float64) for s in (seeds, gaps))
    ends, gap, first = mean_interval(values), mean_interval(difference), rows.iloc[0]
    return {
        **{k: first[k] for k in ("study", "task", "metric", "main")},
        "mean": values.mean() if len(values) else None,
        "lo": ends.lo,
        "hi": ends.hi,
        "std": values.std(ddof=1) if len(values) > 1 else None,
        "n": len(values),
        "failed": int(rows["failed"].sum()),
        "subset": bool(rows["subset"].any()),
        "error": None if rows["error"].isna().all() else float(rows["error"].astype(float).mean()),
        **{k: int(first[k]) for k in (*COUNTS, *LATER, "length", "stride", "context")},
        "gap": difference.mean() if len(difference) else None,
        "gap_lo": gap.lo,
        "gap_hi": gap.hi,
        **resampled.ends(gaps, rows, base, int(first["n_pairs"])),
    }
