"""The points frame: the finished points of every run."""

import pandas as pd

from growbench import families
from growbench.analysis.frames import Record
from growbench.analysis.frames.provenance import commit, hardware
from growbench.spec import SOURCE, ModelSpec
from growbench.study.study import point_name

OF_POINT = (
    "loss", "budget_flops", "flops", "flops_total", "flops_electra", "flops_total_electra", "steps", "tokens",
    "wall_seconds", "tail_energy",
)  # fmt: skip
OF_IMAGES = ("accuracy",)  # what finished points of image studies have besides
# by column, the record's key; a record's initial_loss is the loss at the start of its last stage
OF_RUN = {"stage_loss": "initial_loss", "unigram_entropy": "unigram_entropy", "entropy_floor": "entropy_floor"}


def build(records: list[Record], starts: dict[tuple[str, int], Record], protocol: str) -> pd.DataFrame:
    """Return one row per method, seed and finished point; FLOPs and seconds are cumulative, losses in nats.

    starts: what starts.py measures of every run, by method and seed; each of its numbers becomes a column.

    Columns:
    run: name of the run; method: of its curve, to which several runs may belong, one for each budget.
    tpp: tokens that the run was trained on until there per parameter of its last model, embeddings included.
    source_tpp: the same of the source that it started from; None without one.
    accuracy: only in studies of images.
    """
    source = next((record["source_spec"] for record in records if record.get("source_spec")), None)
    sources = {
        (r["seed"], point["point"]): point["tokens"] / parameters(r) or None  # nobody knows what a checkpoint read
        for r in records
        if r["method"] == SOURCE
        for point in r["points"]
    }
    rows = []
    for record in records:
        before = {
            "study": record["study"],
            "protocol": protocol,
            "family": record["spec"]["family"],
            "source": _short(source),
            "target": _short(record["spec"]),
            "method": record.get("curve_of") or record["method"],
            "seed": record["seed"],
            "run": record["method"],
        }
        after = _of_run(record) | starts[record["method"], record["seed"]] | _cost_of_run(record)
        for point in record["points"]:
            measured = {name: point.get(name) for name in OF_POINT} | {"tpp": point["tokens"] / parameters(record)}
            measured |= {name: point[name] for name in OF_IMAGES if name in point}
            measured["source_tpp"] = sources.get((record["seed"], grown(record))) if record["source_spec"] else None
            rows.append({**before, "point": point["point"], "fraction": point["fraction"], **measured, **after})
    return pd.DataFrame(rows)


def grown(record: Record) -> str:
    """Return the name of the finished point of the source that a run grew."""
    return point_name(record["options"].get("source_point") or 1.0)


def parameters(record: Record) -> float:
    """Return the parameters of a run's last model, embeddings included; of older records those of its spec."""
    spec = ModelSpec.from_dict(record["spec"])
    return float(record.get("parameters") or families.load(spec.family).parameters(spec))


def _of_run(record: Record) -> Record:
    return {column: record.get(key) for column, key in OF_RUN.items()}


def _cost_of_run(record: Record) -> Record:
    return {
        "source_flops": source_flops(record),
        "peak_memory_mb": max((entry.get("peak_memory_mb") or 0 for entry in record["ledger"]), default=0) or None,
        "commit": commit(record),
        "hardware": hardware(record),
        "precision": record["identity"]["precision"] or "precision not recorded",
    }


def _short(spec: Record | None) -> str:
    return ModelSpec.from_dict(spec).short() if spec else ""


def source_flops(record: Record) -> float:
    """Return the FLOPs of the run's source, 0 without one: its ledger's source phase, else total minus target.

    Not a number if nobody knows them.
    """
    if record["method"] == SOURCE or not record["points"]:
        return 0.0
    entries = [entry["flops"] for entry in record["ledger"] if entry["phase"] == "source"]
    last = record["points"][-1]
    if last["flops_total"] is None:
        return float("nan")
    return float(sum(entries) if entries else last["flops_total"] - last["flops"])
