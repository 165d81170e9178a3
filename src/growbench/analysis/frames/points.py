"""The points frame: the finished points of every run."""

import pandas as pd

from growbench.analysis.frames import Record
from growbench.analysis.frames.provenance import commit, hardware
from growbench.spec import SOURCE, ModelSpec

OF_POINT = (
    "loss", "budget_flops", "flops", "flops_total", "flops_electra", "flops_total_electra", "steps", "tokens",
    "wall_seconds", "tail_energy",
)  # fmt: skip
# by column, the record's key; a record's initial_loss is the loss at the start of its last stage
OF_RUN = {"stage_loss": "initial_loss", "unigram_entropy": "unigram_entropy", "entropy_floor": "entropy_floor"}


def build(records: list[Record], starts: dict[tuple[str, int], Record], protocol: str) -> pd.DataFrame:
    """Return one row per method, seed and finished point; FLOPs and seconds are cumulative, losses in nats.

    starts: what starts.py measures of every run, by method and seed; each of its numbers becomes a column.
    """
    source = next((record["source_spec"] for record in records if record.get("source_spec")), None)
    rows = []
    for record in records:
        before = {
            "study": record["study"],
            "protocol": protocol,
            "family": record["spec"]["family"],
            "source": _short(source),
            "target": _short(record["spec"]),
            "method": record["method"],
            "seed": record["seed"],
        }
        after = _of_run(record) | starts[record["method"], record["seed"]] | _cost_of_run(record)
        for point in record["points"]:
            measured = {name: point.get(name) for name in OF_POINT}
            rows.append({**before, "point": point["point"], "fraction": point["fraction"], **measured, **after})
    return pd.DataFrame(rows)


def _of_run(record: Record) -> Record:
    return {column: record.get(key) for column, key in OF_RUN.items()}


def _cost_of_run(record: Record) -> Record:
    return {
        "source_flops": source_flops(record),
        "peak_memory_mb": max((entry.get("peak_memory_mb") or 0 for entry in record["ledger"]), default=0) or None,
        "commit": commit(record),
        "hardware": hardware(record),
    }


def _short(spec: Record | None) -> str:
    return ModelSpec.from_dict(spec).short() if spec else ""


def source_flops(record: Record) -> float:
    """Return the FLOPs of the run's source, 0 without one: its ledger's source phase, else total minus target."""
    if record["method"] == SOURCE or not record["points"]:
        return 0.0
    entries = [entry["flops"] for entry in record["ledger"] if entry["phase"] == "source"]
    last = record["points"][-1]
    return float(sum(entries) if entries else last["flops_total"] - last["flops"])
