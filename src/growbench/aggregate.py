"""Aggregation: a study's records to the tables that everything downstream reads. Nothing is computed twice."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from growbench import record
from growbench.analysis import frames, markdown, savings_table, scores_table
from growbench.analysis.frames import Record
from growbench.analysis.style import order
from growbench.errors import GrowBenchError

if TYPE_CHECKING:
    from growbench.study import Study

log = logging.getLogger(__name__)

VERSION = 1
SOURCE = "source"


def run(study: "Study") -> Path:
    """Write results/<study>/tables from results/<study>/records; return the tables' folder.

    Only the study's methods, seeds and fine-tuned points are read. Raises GrowBenchError for a missing or damaged
    record and for records that do not belong together.
    """
    root = Path("results") / study.study
    methods = order(list(study.methods))
    pretrain = _pretrain(root, study, methods)
    own = [r for r in pretrain if r["method"] != SOURCE]
    finetune = _finetune(root, study, own)
    curve_files = {
        (r["method"], r["seed"]): root / "records" / "pretrain" / f"{r['method']}-s{r['seed']}.csv" for r in pretrain
    }
    points = frames.points(pretrain, study.budget.protocol)
    curves = frames.curves(curve_files)
    targets = points[points["method"] != SOURCE]
    savings = savings_table.build(targets, curves, methods, study.budget.protocol)
    scores = scores_table.build(finetune, targets, methods)
    tables = root / "tables"
    for name, frame in {
        "runs": frames.runs(pretrain, finetune),
        "points": points,
        "savings": savings,
        "scores": scores,
        "curves": curves,
    }.items():
        _write(tables / f"{name}.csv", frame)
    record.write_text(tables / "savings.md", markdown.savings(savings, targets))
    record.write_text(tables / "scores.md", markdown.scores(scores, targets))
    return tables


def _write(path: Path, frame: pd.DataFrame) -> None:
    record.write_text(path, frame.to_csv(index=False, float_format="%.10g", lineterminator="\n"))


def _pretrain(root: Path, study: "Study", methods: list[str]) -> list[Record]:
    folder = root / "records" / "pretrain"
    wanted = [(method, seed) for method in methods for seed in study.seeds]
    found = {folder / f"{m}-s{s}.json": _read(folder / f"{m}-s{s}.json", "pretrain", m, s) for m, s in wanted}
    if any(r.get("source_spec") for r in found.values()):
        for seed in study.seeds:
            path = folder / f"{SOURCE}-s{seed}.json"
            found[path] = _read(path, "pretrain", SOURCE, seed)
    _agree(found)
    return list(found.values())


def _finetune(root: Path, study: "Study", pretrain: Iterable[Record]) -> list[Record]:
    names = [f"p{round(100 * fraction)}" for fraction in study.finetune.points]
    found = {}
    for run_record in pretrain:
        method, seed = run_record["method"], run_record["seed"]
        have = {point["point"] for point in run_record["points"]}
        for point in (name for name in names if name in have):
            path = root / "records" / "finetune" / f"{method}-s{seed}-{point}.json"
            found[path] = _read(path, "finetune", method, seed)
            _complete(path, found[path], study, point)
    _agree(found)
    return list(found.values())


def _read(path: Path, kind: str, method: str, seed: int) -> Record:
    values = record.read(path)
    for key, wanted in {"kind": kind, "version": VERSION, "method": method, "seed": seed}.items():
        if values.get(key) != wanted:
            raise GrowBenchError(
                f"{path}: {key} is {values.get(key)!r} where {wanted!r} is needed; delete the file and run its job again"
            )
    return values


def _complete(path: Path, values: Record, study: "Study", point: str) -> None:
    """Raise unless a fine-tuning record is for `point` and holds every task with every fine-tuning seed and LR."""
    if values.get("point") != point:
        raise GrowBenchError(f"{path}: point is {values.get('point')!r} where {point!r} is needed; run its job again")
    have = {(run_values["task"], run_values["seed"], run_values["lr"]) for run_values in values["runs"]}
    for task in study.tasks.names:
        for seed in study.finetune.seeds:
            for lr in study.finetune.of(task).rates:
                if (task, seed, lr) not in have:
                    raise GrowBenchError(
                        f"{path}: task {task} with seed {seed} is missing at LR {lr:g}; delete it and run its job again"
                    )


def _agree(records: dict[Path, Record]) -> None:
    """Raise when records of one kind were made under different configs; warn when by different code or packages."""
    first: tuple[Path, Record] | None = None
    for path, values in records.items():
        first = first or (path, values)
        if values["config_hash"] != first[1]["config_hash"] or values["study"] != first[1]["study"]:
            raise GrowBenchError(
                f"{path}: config_hash {values['config_hash']} differs from {first[1]['config_hash']} of {first[0]}; "
                "the config was changed between the runs: delete the stale records and run their jobs again"
            )
    commits = sorted({frames.commit(r) for r in records.values()})
    if len(commits) > 1:
        log.warning("records of %d commits are aggregated together: %s", len(commits), ", ".join(commits))
    versions = {tuple(sorted(r["provenance"].get("versions", {}).items())) for r in records.values()}
    if len(versions) > 1:
        log.warning("records made with %d different sets of package versions are aggregated together", len(versions))
