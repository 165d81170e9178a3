"""The plans frame: every stage of every run, what it trained, what it cost, and what growing did to the loss."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import pandas as pd

from growbench import families
from growbench.analysis.frames import Record
from growbench.analysis.frames.curves import Ends
from growbench.analysis.frames.points import grown, source_flops
from growbench.plan import flops
from growbench.plan.plan import Stage
from growbench.spec import SOURCE, ModelSpec

SETTINGS = tuple(field.name for field in fields(Stage) if field.name != "spec")
DEFAULTS = {field.name: field.default for field in fields(Stage) if field.name not in ("spec", "until", "enter")}
SPENT = ("flops", "steps", "tokens", "wall_seconds")
SIZES = ("layers", "hidden", "heads", "ffn")


def build(records: list[Record], curves: pd.DataFrame, ends: Ends, bases: Mapping[str, str]) -> pd.DataFrame:
    """Return one row per method, seed and stage.

    curves: the curves frame. ends: as curves.ends returns them. bases: by method, the method that it is a
    variant of, or itself.

    Columns:
    start_flops, trunk_flops: FLOPs spent before the stage and in it, without cool-downs and learned operators.
    grow_flops: FLOPs of learning the operator by which the stage is entered; they come after start_flops.
    cooldown_flops: FLOPs of the cool-down to the largest finished point, in the row of its stage.
    loss_before: validation loss (nats) of the model that the stage starts from, over the same text as loss_after.
    loss_after: validation loss (nats) of the stage's own model before its first step.
    """
    rows = [row for r in records for row in _rows(r, curves, bases, ends.get((SOURCE, r["seed"], grown(r))))]
    return pd.DataFrame(rows)


def _rows(record: Record, curves: pd.DataFrame, bases: Mapping[str, str], source_loss: float | None) -> list[Record]:
    curve = curves[(curves["method"] == record["method"]) & (curves["seed"] == record["seed"])]
    shared, rows, start = _shared(record, bases), [], 0.0
    for number, stage in enumerate(record["plan"]):
        spent = _spent(record, number)
        grown = sum(e["flops"] for e in record["ledger"] if e["stage"] == number and e["phase"] == "grow")
        is_last = number == len(record["plan"]) - 1
        rows.append(
            {
                **shared,
                "stage": number,
                **_trained(stage),
                "start_flops": start,
                "trunk_flops": spent["flops"],
                "grow_flops": grown,
                "cooldown_flops": record["points"][-1]["flops"] - start - grown - spent["flops"] if is_last else 0.0,
                **{key: spent[key] for key in SPENT[1:]},
                "loss_before": source_loss if stage["enter"] == "source" else _loss(curve, number - 1, -1),
                "loss_after": _loss(curve, number, 0),
            }
        )
        start += grown + spent["flops"]
    return rows


def _shared(record: Record, bases: Mapping[str, str]) -> Record:
    """Return the columns that are equal in all rows of a run."""
    return {
        "study": record["study"],
        "method": record["method"],
        "base": bases.get(record["method"], record["method"]),
        "options": json.dumps(record["options"], sort_keys=True),
        "seed": record["seed"],
        "budget_flops": record["points"][-1]["budget_flops"],
        "source_flops": source_flops(record),
    }


def _trained(stage: Record) -> Record:
    """Return the columns that say what a stage trains."""
    spec = ModelSpec.from_dict(stage["spec"])
    return {
        **{size: getattr(spec, size) for size in SIZES},
        "parameters": flops.parameters(spec, families.load(spec.family)),
        **{key: stage.get(key, DEFAULTS.get(key)) for key in SETTINGS},
    }


def _spent(record: Record, stage: int) -> dict[str, float]:
    """Return what the trunk spent in a stage; its wall-clock time includes growing."""
    entries = [e for e in record["ledger"] if e["stage"] == stage and e["phase"] in ("trunk", "grow")]
    trunk = [e for e in entries if e["phase"] == "trunk"]
    return {key: sum(e[key] for e in (entries if key == "wall_seconds" else trunk)) for key in SPENT}


def _loss(curve: pd.DataFrame, stage: int, place: int) -> Any:
    """Return the first (place 0) or last (-1) measured loss of a stage; the first only if it precedes the first step."""
    rows = curve[curve["stage"] == stage]
    if rows.empty:
        return None
    row = rows.iloc[place]
    return None if place == 0 and row["lr"] > 0 else float(row["valid_loss"])
