"""Aggregation: a study's records to the tables that everything downstream reads. Nothing is computed twice."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from growbench.analysis import papers as tables
from growbench.analysis import results
from growbench.analysis.figures.style import order
from growbench.analysis.frames import attention, plans, score_savings, starts
from growbench.analysis.frames import averages as averages_table
from growbench.analysis.frames import runs as frames
from growbench.analysis.frames import savings as savings_table
from growbench.analysis.frames import scores as scores_table
from growbench.analysis.frames import zeroshot as zeroshot_table
from growbench.analysis.frames.runs import Record
from growbench.analysis.pages import markdown
from growbench.analysis.pages import zeroshot as zeroshot_page
from growbench.errors import GrowBenchError
from growbench.records import record
from growbench.runtime import durable, lock
from growbench.spec import SOURCE

if TYPE_CHECKING:
    from growbench.study.study import Study

log = logging.getLogger(__name__)

VERSION = 1


def run(study: "Study") -> Path:
    """Write results/<study>/tables from results/<study>/records; return the tables' folder.

    Only the study's methods, seeds and the points that it fine-tunes or evaluates are read. Raises GrowBenchError for a missing or damaged
    record and for records that do not belong together.
    """
    root = study.folder
    with lock.held(root / "tables" / ".lock"):
        return _run(study, root)


def _run(study: "Study", root: Path) -> Path:
    methods = order(list(study.methods))
    pretrain = _pretrain(root, study, methods)
    own = [r for r in pretrain if r["method"] != SOURCE]
    finetune = _finetune(root, study, pretrain)
    zeroshot = _zeroshot(root, study, own)
    curve_files = {
        (r["method"], r["seed"]): root / "records" / "pretrain" / f"{r['method']}-s{r['seed']}.csv" for r in pretrain
    }
    made = _frames(study, methods, pretrain, finetune, zeroshot, curve_files) | _attention(root, study, pretrain)
    made |= _search(root, study)
    folder = root / "tables"
    for name, frame in made.items():
        _write(folder / f"{name}.csv", frame)
    targets = _of_targets(made["points"])
    durable.write_text(folder / "savings.md", markdown.savings(made["savings"], made["savings_score"], targets))
    durable.write_text(folder / "scores.md", markdown.scores(_of_targets(made["scores"]), made["averages"], targets))
    found = results.collect(study, methods, pretrain, finetune, made)
    for name in tables.names(study):
        table = tables.build(name, found)
        for kind, text in {"csv": table.csv(), "md": table.markdown(), "tex": table.latex()}.items():
            durable.write_text(folder / f"{name}.{kind}", text)
    _write_zeroshot(folder, zeroshot, targets, methods)
    return folder


def _frames(
    study: "Study",
    methods: list[str],
    pretrain: list[Record],
    finetune: list[Record],
    zeroshot: list[Record],
    curve_files: dict[tuple[str, int], Path],
) -> dict[str, pd.DataFrame]:
    """Return the frames that become <name>.csv, by name."""
    points = frames.points(pretrain, starts.build(pretrain, curve_files), study.budget.protocol)
    curves = frames.curves(curve_files)
    targets = _of_targets(points)
    scored = scores_table.chosen(scores_table.runs([r for r in finetune if r["method"] != SOURCE]))
    return {
        "runs": frames.runs(pretrain, finetune, zeroshot),
        "points": points,
        "savings": savings_table.build(targets, curves, methods, study.budget.protocol),
        "savings_score": score_savings.build(targets, scored, methods),
        "scores": scores_table.build(finetune, points, [*methods, SOURCE]),
        "averages": averages_table.build(scored, methods),
        "curves": curves,
        "plans": plans.build(pretrain, curves, {name: study.method(name).name for name in methods}),
        "provenance": frames.provenance([*pretrain, *finetune, *zeroshot]),
    }


def _of_targets(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["method"] != SOURCE]


def _write_zeroshot(folder: Path, records: list[Record], targets: pd.DataFrame, methods: list[str]) -> None:
    """Write zeroshot.csv and zeroshot.md where the study has any; those of an earlier config do not stay."""
    csv, page = folder / "zeroshot.csv", folder / "zeroshot.md"
    if not records:
        for path in (csv, page):
            path.unlink(missing_ok=True)
        return
    table = zeroshot_table.build(records, targets, methods)
    _write(csv, table)
    durable.write_text(page, zeroshot_page.page(table, targets, records))


def _write(path: Path, frame: pd.DataFrame) -> None:
    durable.write_text(path, frame.to_csv(index=False, float_format="%.10g", lineterminator="\n"))


def _attention(root: Path, study: "Study", pretrain: list[Record]) -> dict[str, pd.DataFrame]:
    """The tables of the attention record, of the first seed; none where the study does not ask for it."""
    if not study.attention:
        return {}
    path, seed = root / "records" / "attention" / f"s{study.seeds[0]}.json", study.seeds[0]
    found = _read(path, "attention", "all", seed)
    _agree({path: found, root / "records" / "pretrain": pretrain[0]}, study.trained_part())
    return {"attention_maps": attention.maps(found), "attention_distance": attention.distances(found)}


def _search(root: Path, study: "Study") -> dict[str, pd.DataFrame]:
    """The table of the search for LRs, of every method and the source; none where the study does not search."""
    names = [name for name in order(list(study.trained())) if study.searched(name)]
    paths = {root / "records" / "search" / f"{name}.json": name for name in names}
    found = {path: _read(path, "search", name, study.seeds[0]) for path, name in paths.items()}
    _agree(found, study.trained_part())
    return {"search": frames.search(list(found.values()))} if found else {}


def _pretrain(root: Path, study: "Study", methods: list[str]) -> list[Record]:
    folder = root / "records" / "pretrain"
    wanted = [(method, seed) for method in methods for seed in study.seeds]
    found = {folder / f"{m}-s{s}.json": _read(folder / f"{m}-s{s}.json", "pretrain", m, s) for m, s in wanted}
    if any(r.get("source_spec") for r in found.values()):
        for seed in study.seeds:
            path = folder / f"{SOURCE}-s{seed}.json"
            found[path] = _read(path, "pretrain", SOURCE, seed)
    _agree(found, study.trained_part())
    return list(found.values())


def _finetune(root: Path, study: "Study", pretrain: Iterable[Record]) -> list[Record]:
    found = {}
    for run_record in pretrain:
        method, seed = run_record["method"], run_record["seed"]
        have = {point["point"] for point in run_record["points"]}
        for point in (name for name in study.finetuned_points(method) if name in have):
            path = root / "records" / "finetune" / f"{method}-s{seed}-{point}.json"
            found[path] = _read(path, "finetune", method, seed)
            _complete(path, found[path], study, point)
    _agree(found, study.finetuned_part())
    return list(found.values())


def _zeroshot(root: Path, study: "Study", pretrain: Iterable[Record]) -> list[Record]:
    found = {}
    for run_record in pretrain if study.zeroshot.names else ():
        method, seed = run_record["method"], run_record["seed"]
        for point in study.zeroshot_points():
            path = root / "records" / "zeroshot" / f"{method}-s{seed}-{point}.json"
            found[path] = values = _read(path, "zeroshot", method, seed)
            have = {run_values["task"] for run_values in values["runs"]}
            if values.get("point") != point or not have.issuperset(study.zeroshot.names):
                raise GrowBenchError(
                    f"{path}: not every test set of zeroshot.names at {point}; delete it and run its job again"
                )
    _agree(found, study.zeroshot_part())
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


def _agree(records: dict[Path, Record], part: Any) -> None:
    """Raise when records were not made under this part of the config; warn when by different code or packages."""
    first: tuple[Path, Record] | None = None
    for path, values in records.items():
        first = first or (path, values)
        if values["config_hash"] != first[1]["config_hash"] or values["study"] != first[1]["study"]:
            raise GrowBenchError(
                f"{path}: config_hash {values['config_hash']} differs from {first[1]['config_hash']} of {first[0]}; "
                "the config was changed between the runs: delete the stale records and run their jobs again"
            )
    own = record.digest(part)
    if first is not None and first[1]["config_hash"] != own:
        raise GrowBenchError(
            f"{first[0]}: config_hash {first[1]['config_hash']} is of another config, this one's is {own}; give the config "
            "that the records were made with, or run their jobs again"
        )
    commits = sorted({frames.commit(r) for r in records.values()})
    if len(commits) > 1:
        log.warning("records of %d commits are aggregated together: %s", len(commits), ", ".join(commits))
    versions = {tuple(sorted(r["provenance"].get("versions", {}).items())) for r in records.values()}
    if len(versions) > 1:
        log.warning("records made with %d different sets of package versions are aggregated together", len(versions))
