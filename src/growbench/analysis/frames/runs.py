"""The runs frame: every measured number of every record in one long table."""

from collections.abc import Sequence

import pandas as pd

from growbench.analysis.frames import Record
from growbench.analysis.frames.points import OF_IMAGES, OF_POINT, OF_RUN
from growbench.analysis.frames.provenance import commit, hardware

COLUMNS = (
    "study", "kind", "method", "seed", "point", "task", "finetune_seed", "phase", "stage", "metric", "value", "main",
    "n", "n_train", "subset", "failed", "majority", "lr", "commit", "hardware",
)  # fmt: skip
OF_LEDGER = ("flops", "flops_electra", "tokens", "wall_seconds", "cpu_seconds", "peak_memory_mb", "steps")


def build(pretrain: list[Record], finetune: list[Record], zeroshot: Sequence[Record] = ()) -> pd.DataFrame:
    """Return one row per measured number of every record, failed runs included."""
    rows = [row for record in pretrain for row in _pretrain(record)]
    rows += [row for record in finetune for row in _finetune(record)]
    rows += [row for record in zeroshot for row in _zeroshot(record)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _key(record: Record) -> Record:
    return {
        **{key: record[key] for key in ("study", "kind", "method", "seed")},
        "commit": commit(record),
        "hardware": hardware(record),
    }


def _pretrain(record: Record) -> list[Record]:
    key = _key(record)
    rows = [{**key, "metric": column, "value": record.get(name)} for column, name in OF_RUN.items()]
    for point in record["points"]:
        names = (*OF_POINT, *(name for name in OF_IMAGES if name in point))
        rows += [{**key, "point": point["point"], "metric": name, "value": point.get(name)} for name in names]
    for entry in record["ledger"]:
        place = {"phase": entry["phase"], "stage": entry.get("stage")}
        rows += [{**key, **place, "metric": name, "value": entry.get(name)} for name in OF_LEDGER]
    return [row for row in rows if row["value"] is not None]


def _finetune(record: Record) -> list[Record]:
    key = {**_key(record), "point": record["point"]}
    rows = []
    for run in record["runs"]:
        place = {
            **key,
            "task": run["task"],
            "finetune_seed": run["seed"],
            "n": run["n_dev"],
            **{name: run[name] for name in ("n_train", "subset", "failed", "majority", "lr")},
        }
        main = run["main_metric"]
        measured = {**run["metrics"], main: run["score"], "seconds": run.get("seconds")}
        rows += [{**place, "metric": name, "value": value, "main": name == main} for name, value in measured.items()]
    return rows


def _zeroshot(record: Record) -> list[Record]:
    key = {**_key(record), "point": record["point"]}
    rows = []
    for run in record["runs"]:
        place = {**key, **{name: run[name] for name in ("task", "subset", "failed")}}
        place["n"] = run.get("n_pairs") or run["n_words"]
        counts = {name: run[name] for name in ("nats", "n_tokens", "n_unknown", "n_cut", "seconds")}
        measured = {**run["metrics"], **counts}
        main = run["main_metric"]
        rows += [{**place, "metric": name, "value": value, "main": name == main} for name, value in measured.items()]
    return rows
