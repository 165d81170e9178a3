"""Read the records that a study's tables are made of, and refuse those that do not belong together."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from growbench.analysis.frames import Record
from growbench.analysis.frames.provenance import commit
from growbench.errors import GrowBenchError
from growbench.records import record
from growbench.spec import SOURCE
from growbench.study.study import Study

log = logging.getLogger(__name__)


def pretrain(study: Study, methods: list[str]) -> list[Record]:
    """Return the record of every run, the source's last; a study whose methods use no source has none."""
    found = _runs(study, methods)
    if any(values.get("source_spec") for values in found.values()):
        found |= _runs(study, [SOURCE])
    _check_same(found, study.trained_part())
    return list(found.values())


def _runs(study: Study, methods: list[str]) -> dict[Path, Record]:
    wanted = [(study.layout.run_record(method, seed), method, seed) for method in methods for seed in study.seeds]
    return {path: record.read(path, "pretrain", method, seed) for path, method, seed in wanted}


def finetune(study: Study, runs: Iterable[Record]) -> list[Record]:
    """Return the fine-tuning records of these runs' finished points."""
    found = {}
    for run in runs:
        method, seed = run["method"], run["seed"]
        points = {point["point"] for point in run["points"]}
        for point in (name for name in study.finetuned_points(method) if name in points):
            path = study.layout.finetune_record(method, seed, point)
            found[path] = record.read(path, "finetune", method, seed, point)
            _check_tasks(path, found[path], study)
    _check_same(found, study.finetuned_part())
    return list(found.values())


def zeroshot(study: Study, runs: Iterable[Record]) -> list[Record]:
    """Return the zero-shot records of these runs; none if the study names no test set."""
    found = {}
    for run in runs if study.zeroshot.names else ():
        method, seed = run["method"], run["seed"]
        for point in study.zeroshot_points():
            path = study.layout.zeroshot_record(method, seed, point)
            found[path] = record.read(path, "zeroshot", method, seed, point)
            missing = [name for name in study.zeroshot.names if name not in {r["task"] for r in found[path]["runs"]}]
            if missing:
                raise GrowBenchError(f"{path}: test set {missing[0]} is missing; delete the file and run its job again")
    _check_same(found, study.zeroshot_part())
    return list(found.values())


def search(study: Study, names: Iterable[str]) -> list[Record]:
    """Return the record of every search among these methods and the source."""
    paths = {study.layout.search_record(name): name for name in names if study.searched(name)}
    found = {path: record.read(path, "search", name, study.seeds[0]) for path, name in paths.items()}
    _check_same(found, study.trained_part())
    return list(found.values())


def attention(study: Study, runs: list[Record]) -> Record:
    """Return the attention record of the first seed, which must be of the same config as the runs."""
    path, seed = study.layout.attention_record(study.seeds[0]), study.seeds[0]
    found = record.read(path, "attention", "all", seed)
    first = study.layout.run_record(runs[0]["method"], runs[0]["seed"])
    _check_same({path: found, first: runs[0]}, study.trained_part())
    return found


def _check_tasks(path: Path, values: Record, study: Study) -> None:
    """Raise unless a fine-tuning record holds every task with every fine-tuning seed and learning rate."""
    found = {(run["task"], run["seed"], run["lr"]) for run in values["runs"]}
    for task in study.tasks.names:
        for seed in study.finetune.seeds:
            for lr in study.finetune.of(task).rates:
                if (task, seed, lr) not in found:
                    raise GrowBenchError(
                        f"{path}: task {task} with seed {seed} is missing at LR {lr:g}; delete the file and run its job again"
                    )


def _check_same(records: dict[Path, Record], part: Any) -> None:
    """Raise unless all records were made with this part of the config; warn if code or packages differ between them."""
    if not records:
        return
    path, first = next(iter(records.items()))
    for other, values in records.items():
        if values["config_hash"] != first["config_hash"] or values["study"] != first["study"]:
            raise GrowBenchError(
                f"{other}: config_hash {values['config_hash']} differs from {first['config_hash']} in {path}; the config "
                "was changed between the runs: delete the stale records and run their jobs again"
            )
    if first["config_hash"] != (own := record.digest(part)):
        raise GrowBenchError(
            f"{path}: config_hash is {first['config_hash']}, but this config's is {own}; use the config that the records "
            "were made with, or run their jobs again"
        )
    _warn_mixed(records.values())


def _warn_mixed(records: Iterable[Record]) -> None:
    records = list(records)
    commits = sorted({commit(values) for values in records})
    if len(commits) > 1:
        log.warning("these tables mix records of %d commits: %s", len(commits), ", ".join(commits))
    versions = {tuple(sorted(values["provenance"].get("versions", {}).items())) for values in records}
    if len(versions) > 1:
        log.warning("these tables mix records made with %d different sets of package versions", len(versions))
