"""Records to tidy tables: every number of every record (runs), finished points (points), trunk curves (curves)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from growbench.errors import GrowBenchError
from growbench.spec import ModelSpec

Record = dict[str, Any]

POINT_METRICS = (
    "loss", "budget_flops", "flops", "flops_total", "flops_electra", "flops_total_electra", "steps", "tokens",
    "wall_seconds", "tail_energy",
)  # fmt: skip
LEDGER_METRICS = ("flops", "flops_electra", "tokens", "wall_seconds", "cpu_seconds", "peak_memory_mb", "steps")
RUN_METRICS = ("initial_loss", "unigram_entropy", "entropy_floor")
CURVE_COLUMNS = (
    "step", "phase", "stage", "point", "flops", "flops_total", "tokens", "lr", "train_loss", "valid_loss",
    "wall_seconds",
)  # fmt: skip
CURVE_ROWS = 500
RUN_COLUMNS = (
    "study", "kind", "method", "seed", "point", "task", "finetune_seed", "phase", "stage", "metric", "value", "main",
    "n", "n_train", "subset", "failed", "majority", "lr", "commit", "hardware",
)  # fmt: skip


def runs(pretrain: list[Record], finetune: list[Record], zeroshot: Sequence[Record] = ()) -> pd.DataFrame:
    """Return the long table: one row per measured number of every record, failed runs included."""
    rows = [row for record in pretrain for row in _pretrain_rows(record)]
    rows += [row for record in finetune for row in _finetune_rows(record)]
    rows += [row for record in zeroshot for row in _zeroshot_rows(record)]
    return pd.DataFrame(rows, columns=list(RUN_COLUMNS))


def search(records: Sequence[Record]) -> pd.DataFrame:
    """Return one row per trial of a search: its LR, its loss after the cool-down (nats), FLOPs, and whether it was chosen."""
    rows = [
        {
            **{k: record[k] for k in ("study", "method", "seed", "share")},
            **trial,
            "failed": trial["loss"] is None,
            "chosen": trial["lr"] == record["lr"],
            "commit": commit(record),
        }
        for record in records
        for trial in record["trials"]
    ]
    return pd.DataFrame(rows)


def _key(record: Record) -> Record:
    origin = record["provenance"]
    return {
        **{k: record[k] for k in ("study", "kind", "method", "seed")},
        "commit": commit(record),
        "hardware": origin.get("hardware", "unknown"),
    }


def commit(record: Record) -> str:
    """Return the commit that made a record, with a + where the code differed from it."""
    origin = record["provenance"]
    return f"{origin.get('commit', 'unknown')}{'+' if origin.get('dirty') else ''}"


def provenance(records: list[Record]) -> pd.DataFrame:
    """Return one row per kind of record, commit, hardware and set of package versions, with the number of records."""
    rows = [
        {
            "study": r["study"],
            "kind": r["kind"],
            "commit": commit(r),
            "hardware": r["provenance"].get("hardware", "unknown"),
            "config_hash": r["config_hash"],
            **r["provenance"].get("versions", {}),
        }
        for r in records
    ]
    frame = pd.DataFrame(rows).fillna("")
    return frame.groupby(list(frame), sort=False).size().reset_index(name="records")


def _pretrain_rows(record: Record) -> list[Record]:
    key = _key(record)
    rows = [{**key, "metric": name, "value": record.get(name)} for name in RUN_METRICS]
    for point in record["points"]:
        rows += [{**key, "point": point["point"], "metric": m, "value": point.get(m)} for m in POINT_METRICS]
    for entry in record["ledger"]:
        place = {"phase": entry["phase"], "stage": entry.get("stage")}
        rows += [{**key, **place, "metric": m, "value": entry.get(m)} for m in LEDGER_METRICS]
    return [row for row in rows if row["value"] is not None]


def _finetune_rows(record: Record) -> list[Record]:
    key = {**_key(record), "point": record["point"]}
    rows = []
    for run in record["runs"]:
        place = {
            **key,
            "task": run["task"],
            "finetune_seed": run["seed"],
            "n": run["n_dev"],
            **{k: run[k] for k in ("n_train", "subset", "failed", "majority", "lr")},
        }
        main = run["main_metric"]
        measured = {**run["metrics"], main: run["score"], "seconds": run.get("seconds")}
        rows += [{**place, "metric": m, "value": v, "main": m == main} for m, v in measured.items()]
    return rows


def _zeroshot_rows(record: Record) -> list[Record]:
    key = {**_key(record), "point": record["point"]}
    rows = []
    for run in record["runs"]:
        place = {**key, "task": run["task"], "n": run["n_words"], **{k: run[k] for k in ("subset", "failed")}}
        measured = {**run["metrics"], **{k: run[k] for k in ("nats", "n_tokens", "n_unknown", "n_cut", "seconds")}}
        rows += [{**place, "metric": m, "value": v, "main": m == run["main_metric"]} for m, v in measured.items()]
    return rows


def points(records: list[Record], starts: dict[tuple[str, int], Record], protocol: str) -> pd.DataFrame:
    """Return one row per method, seed and finished point; FLOPs and seconds are cumulative, losses in nats.

    starts: what starts.py measures of every run, by method and seed; each of its numbers becomes a column.
    """
    source = next((r["source_spec"] for r in records if r.get("source_spec")), None)
    rows = []
    for record in records:
        shared = {
            "study": record["study"],
            "protocol": protocol,
            "family": record["spec"]["family"],
            "source": _short(source),
            "target": _short(record["spec"]),
            "method": record["method"],
            "seed": record["seed"],
        }
        after = {
            **{name: record.get(name) for name in RUN_METRICS},
            **starts[(record["method"], record["seed"])],
            "source_flops": source_flops(record),
            "peak_memory_mb": max((e.get("peak_memory_mb") or 0 for e in record["ledger"]), default=0) or None,
            "commit": commit(record),
            "hardware": record["provenance"].get("hardware", "unknown"),
        }
        for point in record["points"]:
            measured = {name: point.get(name) for name in POINT_METRICS}
            rows.append({**shared, "point": point["point"], "fraction": point["fraction"], **measured, **after})
    return pd.DataFrame(rows)


def _short(spec: Record | None) -> str:
    return ModelSpec.from_dict(spec).short() if spec else ""


def source_flops(record: Record) -> float:
    """Return what the run's source cost in FLOPs (0 without one): its ledger's source phase, else total minus target."""
    if record["method"] == "source" or not record["points"]:
        return 0.0
    entries = [entry["flops"] for entry in record["ledger"] if entry["phase"] == "source"]
    last = record["points"][-1]
    return float(sum(entries) if entries else last["flops_total"] - last["flops"])


def curves(files: dict[tuple[str, int], Path]) -> pd.DataFrame:
    """Return the measured trunk rows of every run's curve file: CURVE_ROWS evenly chosen ones a run where there are more,
    and those on either side of a change of stage.
    """
    tables = []
    for (method, seed), path in files.items():
        table = trunk(path)
        if len(table) > CURVE_ROWS:
            keep = {round(i * (len(table) - 1) / (CURVE_ROWS - 1)) for i in range(CURVE_ROWS)}
            begins = [i for i in range(1, len(table)) if table["stage"].iloc[i] != table["stage"].iloc[i - 1]]
            table = table.iloc[sorted(keep.union(begins, (i - 1 for i in begins)))]
        table.insert(0, "seed", seed)
        table.insert(0, "method", method)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def trunk(path: Path) -> pd.DataFrame:
    """Return the trunk's measured rows of one curve file, in the order of training."""
    table = _read_curve(path)
    return table[(table["phase"] == "trunk") & table["valid_loss"].notna()]


def _read_curve(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except FileNotFoundError as error:
        raise GrowBenchError(f"{path}: no such curve; delete the record beside it and run its job again") from error
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise GrowBenchError(f"{path}: not a whole CSV file; delete it and its record and run the job again") from error
    missing = [name for name in CURVE_COLUMNS if name not in table]
    if missing:
        raise GrowBenchError(f"{path}: column '{missing[0]}' is missing; delete it and its record and run again")
    return table[list(CURVE_COLUMNS)].copy()
