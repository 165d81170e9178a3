"""Read the records that a study's tables are made of, and refuse those that do not fit the study or one another.

Only records of the study's methods, seeds and points are read; those of methods that left the study are ignored.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from growbench.analysis.frames import Record
from growbench.analysis.frames.provenance import commit, not_recorded, restored
from growbench.errors import GrowBenchError
from growbench.pipeline.aggregate import alike, fit
from growbench.records import curve, documents, record
from growbench.records.beside import REMEDY
from growbench.records.documents import Documents
from growbench.spec import SOURCE
from growbench.study import scored
from growbench.study.study import Study

log = logging.getLogger(__name__)
Run = tuple[str, int]
ROUNDED = 1e-5  # losses by document have seven digits


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that a study's tables are made of.

    pretrain: the record of every run, the source's last; a study whose methods use no source has none.
    finetune: the fine-tuning records of their finished points.
    zeroshot: their zero-shot records; none if the study names no test set.
    search: the records of the searches for a learning rate.
    attention: the attention record of the first seed; None if the study does not ask for it.
    curves: of the runs, by method and seed.
    documents: losses by document of the runs that have them, by method and seed.
    outdated: methods whose code changed since a run, in the order of the study.
    """

    pretrain: list[Record]
    finetune: list[Record]
    zeroshot: list[Record]
    search: list[Record]
    attention: Record | None
    curves: dict[Run, pd.DataFrame]
    documents: dict[Run, Documents]
    outdated: list[str]

    def all(self) -> list[Record]:
        """Return the records that the provenance table counts."""
        return [*self.pretrain, *self.finetune, *self.zeroshot]


def everything(study: Study, methods: list[str], trained: list[str]) -> Found:
    """Return all records of a study and its curves. methods: in the order of the tables; trained: the source as well.

    Raises GrowBenchError, naming the file, for what is missing, damaged, or does not fit.
    """
    changed: set[str] = set()
    searches = _searches(study, trained, changed)
    runs = _runs(study, methods, changed)
    if any(values["source_spec"] for values in runs.values()):
        runs |= _runs(study, [SOURCE], changed)
    alike.runs(runs)
    alike.searches(searches, runs)
    finetune = _evaluations(study, runs, "finetune", study.layout.finetune_record, study.finetuned_points, fit.finetune)
    alike.evaluations(finetune, runs, alike.OF_TASK)
    zeroshot = _zeroshot(study, runs)
    alike.evaluations(zeroshot, runs, alike.OF_TEST_SET)
    found = Found(
        pretrain=list(runs.values()),
        finetune=list(finetune.values()),
        zeroshot=list(zeroshot.values()),
        search=list(searches.values()),
        attention=_attention(study, runs) if study.attention else None,
        curves={
            (values["method"], values["seed"]): curve.read(path.with_suffix(".csv"), values["curve"])
            for path, values in runs.items()
        },
        documents={
            (values["method"], values["seed"]): _documents(study, values)
            for values in runs.values()
            if values.get("documents") is not None
        },
        outdated=[name for name in trained if name in changed],
    )
    alike.documents({study.layout.documents(*run): losses for run, losses in found.documents.items()})
    _report(found)
    return found


def _documents(study: Study, values: Record) -> Documents:
    """Return the losses of a run by document. Raises GrowBenchError unless they are those of the record's points."""
    path = study.layout.documents(values["method"], values["seed"])
    found = documents.read(path, values["documents"])
    if list(found.points) != [point["point"] for point in values["points"]]:
        raise GrowBenchError(f"{path}: not of the finished points of its record; {REMEDY}")
    if not np.allclose(found.losses, [point["loss"] for point in values["points"]], rtol=ROUNDED, atol=0):
        raise GrowBenchError(f"{path}: its losses are not those of the finished points of its record; {REMEDY}")
    return found


def _runs(study: Study, methods: list[str], changed: set[str]) -> dict[Path, Record]:
    """Return the records of runs by path; methods whose code changed since are added to `changed`."""
    found = {}
    for method in methods:
        for seed in study.seeds:
            path = study.layout.run_record(method, seed)
            found[path] = record.read(path, "pretrain", method, seed)
            if not fit.run(study, path, found[path]):
                changed.add(method)
    return found


def _evaluations(
    study: Study,
    runs: dict[Path, Record],
    kind: str,
    place: Callable[[str, int, str], Path],
    points: Callable[[str], Iterable[str]],
    check: Callable[[Study, Path, Record], object],
) -> dict[Path, Record]:
    """Return the records of one kind of evaluation of these runs.

    place: returns the path of a record. points: returns those of a method that are evaluated. check: raises GrowBenchError
    for a record that does not fit the study.
    """
    found = {}
    for run in runs.values():
        method, seed = run["method"], run["seed"]
        have = {point["point"] for point in run["points"]}
        for point in (name for name in points(method) if name in have):
            path = place(method, seed, point)
            found[path] = record.read(path, kind, method, seed, point)
            check(study, path, found[path])
    return found


def _zeroshot(study: Study, runs: dict[Path, Record]) -> dict[Path, Record]:
    if not study.zeroshot.names:
        return {}
    targets = {path: values for path, values in runs.items() if values["method"] != SOURCE}
    place = study.layout.zeroshot_record
    found = _evaluations(study, targets, "zeroshot", place, lambda method: scored.points(study, method), fit.zeroshot)
    alike.equal({path: values["tokenisation"] for path, values in found.items()}, "tokenisation")
    return found


def _searches(study: Study, names: Iterable[str], changed: set[str]) -> dict[Path, Record]:
    """Return the records of searches by path; methods whose code changed since are added to `changed`."""
    found = {}
    for name in (name for name in names if study.searched(name)):
        path = study.layout.search_record(name)
        found[path] = record.read(path, "search", name, study.search.seed)
        if not fit.search(study, path, found[path]):
            changed.add(name)
    return found


def _attention(study: Study, runs: dict[Path, Record]) -> Record:
    path = study.layout.attention_record(study.seeds[0])
    found = fit.attention(study, path, record.read(path, "attention", "all", study.seeds[0]))
    alike.attention(path, found, runs)
    return found


def _report(found: Found) -> None:
    """Log what is mixed in these tables, what is not recorded, and which runs are of older code."""
    records = found.all()
    commits = sorted({commit(values) for values in records})
    if len(commits) > 1:
        log.warning("these tables mix records of %d commits: %s", len(commits), ", ".join(commits))
    versions = {tuple(sorted(values["provenance"]["versions"].items())) for values in records}
    if len(versions) > 1:
        log.warning("these tables mix records made with %d different sets of package versions", len(versions))
    if far := [off for values in records if (off := restored(values)) is not None]:
        log.warning(
            "%d of these records used models that were trained again for a clone; their losses are up to %.2g nats from those "
            "of the records that they stand for", len(far), max(far),
        )  # fmt: skip
    missing = sorted({name for values in records for name in not_recorded(values)})
    if missing:
        log.info("these records do not say everything that they were made from; not recorded: %s", ", ".join(missing))
    if found.outdated:
        log.warning("these methods' code changed since their runs: %s", ", ".join(found.outdated))
