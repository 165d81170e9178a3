"""Losses at the start of a run: right after its last growth, after a short lag, and right after its source grew.

A growth is the entry of a stage that trains a different network than the stage before: other sizes, or other pooling,
truncation, rank or sharing. It is not a growth if only parts of the same network learn first, as in the stages of
bert2BERT and MSLT. A run without growth starts at its first step.

The short lag ends at the first trunk evaluation after at least LAG of the largest budget has been spent since the
growth: the loss right after a growth says little about what follows (LAG, arXiv 2406.02469).
"""

from itertools import pairwise

import pandas as pd

from growbench.analysis.frames import Record
from growbench.analysis.frames.curves import Curves, trunk
from growbench.errors import GrowBenchError
from growbench.records.layout import run_name

LAG = 0.02
NETWORK = ("pool", "cut", "rank", "shared")
COLUMNS = ("loss_after_growth", "lag_loss", "lag", "grown_loss")


def last_growth(plan: list[Record]) -> int:
    """Return the index of the stage that the last growth of a plan enters; 0 if nothing grows."""
    found = 0
    for i, (before, stage) in enumerate(pairwise(plan), start=1):
        if stage["enter"] in ("source", "grow") or any(stage.get(key) != before.get(key) for key in NETWORK):
            found = i
    return found


def measure(record: Record, curve: pd.DataFrame) -> Record:
    """Return COLUMNS of one run: losses in nats, the lag as a share of the largest budget; None if not measured.

    curve: the trunk's rows in the order of training, as curves.trunk returns them. grown_loss: the loss right after the
    trained source grew. Raises GrowBenchError if the curve lacks the stage of a growth.
    """
    plan = record["plan"]
    at = _entry(record, curve, last_growth(plan))
    budget = record["points"][-1]["budget_flops"]
    since = (curve["flops"] - at["flops"]) / budget
    later = curve[(since >= LAG * (1 - 1e-9)) & (curve.index > at.name)]
    grown = next((i for i, stage in enumerate(plan) if stage["enter"] == "source"), None)
    return {
        "loss_after_growth": float(at["valid_loss"]),
        "lag_loss": None if later.empty else float(later["valid_loss"].iloc[0]),
        "lag": None if later.empty else float(since[later.index[0]]),
        "grown_loss": None if grown is None else float(_entry(record, curve, grown)["valid_loss"]),
    }


def _entry(record: Record, curve: pd.DataFrame, stage: int) -> "pd.Series[float]":
    own = curve[curve["stage"] == stage]
    if own.empty:
        raise GrowBenchError(
            f"{run_name(record['method'], record['seed'])}: its curve has no trunk row of stage {stage}; delete both the curve and "
            "its record, then run the job again"
        )
    return own.iloc[0]


def build(records: list[Record], curves: Curves) -> dict[tuple[str, int], Record]:
    """Return COLUMNS of every run by method and seed."""
    keys = [(record["method"], record["seed"]) for record in records]
    return {key: measure(r, trunk(curves[key])) for key, r in zip(keys, records, strict=True)}
