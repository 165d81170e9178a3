"""The search frame: the learning rates and warm-ups that were tried."""

from collections.abc import Sequence

import pandas as pd

from growbench.analysis.frames import Record
from growbench.analysis.frames.provenance import commit

STEPS = {"half": 0.5, "double": 2.0}  # one step of the grid to either side
CLOSE = {"lr": 0.0, "warmup": 0.5}  # how far a value may be from half or double of another: steps are rounded


def build(records: Sequence[Record]) -> pd.DataFrame:
    """Return one row per trial of a search.

    lr, warmup (steps; empty: a share of the budget), loss after the cool-down (nats), flops. chosen: whether it is the best
    one. loss_lr_half, loss_lr_double, loss_warmup_half, loss_warmup_double: losses one step of the grid to either side, empty
    if that was not tried or diverged. lr_used, warmup_used: what the runs are trained with. bracketed: whether a worse trial
    lies on each side of the best one; empty in searches of a fixed list. margin: what the best neighbor is worse by (nats).
    """
    return pd.DataFrame([row for record in records for row in _rows(record)])


def _rows(record: Record) -> list[Record]:
    trials = complete(record["trials"])
    chosen = best(trials)
    return [
        {
            **{key: record[key] for key in ("study", "method", "seed", "share")},
            **{key: trial[key] for key in ("lr", "warmup", "loss", "flops")},
            "failed": trial["loss"] is None,
            "chosen": trial is chosen,
            **neighbors(trials, trial),
            "lr_used": record["lr"],
            "warmup_used": record.get("warmup"),
            "bracketed": record.get("bracketed"),
            "margin": record.get("margin"),
            "commit": commit(record),
        }
        for trial in trials
    ]


def complete(trials: Sequence[Record]) -> list[Record]:
    """Return the trials with the warm-up that older records do not have: None, a share of the budget."""
    return [{"warmup": None, **trial} for trial in trials]


def best(trials: Sequence[Record]) -> Record | None:
    """Return the trial with the lowest loss; None if all diverged."""
    finite = [trial for trial in trials if trial["loss"] is not None]
    return min(finite, key=lambda trial: float(trial["loss"]), default=None)


def neighbors(trials: Sequence[Record], trial: Record) -> dict[str, float | None]:
    """Return the losses of the trials one step of the grid from a trial, by the name of their column; None if there is none."""
    found = {}
    for key, other in (("lr", "warmup"), ("warmup", "lr")):
        row = [t for t in trials if t[other] == trial[other] and t[key]]
        for side, factor in STEPS.items():
            wanted = factor * trial[key] if trial[key] else None
            near = [t["loss"] for t in row if wanted and abs(t[key] - wanted) <= CLOSE[key] + 1e-3 * wanted]
            found[f"loss_{key}_{side}"] = near[0] if near else None
    return found
