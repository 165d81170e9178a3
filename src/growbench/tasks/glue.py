"""GLUE (Wang et al., 2019): its nine tasks, in the official file layout below data.dir/glue/<task> or from the hub."""

import csv
import io
import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError, nearest, shown
from growbench.study.squad import SQUAD_TASKS
from growbench.study.study import Study
from growbench.tasks import Task, hub, local
from growbench.tasks.local import LocalFile

log = logging.getLogger(__name__)
YES_NO = ("not_entailment", "entailment")
THREE = ("entailment", "neutral", "contradiction")
ACCURACY = ("accuracy",)
TWO = ("accuracy", "f1")


def _task(name: str, texts: tuple[str, ...], label: str, *metrics: str, **more: Any) -> Task:
    values = {"num_labels": 2, "labels": ("0", "1"), **more}
    return Task(
        name=name, suite="GLUE", text_columns=texts, label_column=label, metrics=metrics, main=metrics[0], **values
    )


TASKS = {
    task.name: task
    for task in (
        _task("CoLA", ("sentence",), "label", "matthews", "accuracy", header=("source", "label", "mark", "sentence")),
        _task("SST-2", ("sentence",), "label", *ACCURACY),
        _task("MRPC", ("#1 String", "#2 String"), "Quality", *TWO),
        _task("STS-B", ("sentence1", "sentence2"), "score", "pearson", "spearman", num_labels=1, labels=None),
        _task("QQP", ("question1", "question2"), "is_duplicate", *TWO, skips_short=True),
        _task(
            "MNLI",
            ("sentence1", "sentence2"),
            "gold_label",
            *ACCURACY,
            num_labels=3,
            labels=THREE,
            dev_file="dev_matched.tsv",
            second=("accuracy_mismatched", "dev_mismatched.tsv", "validation_mismatched"),
        ),
        _task("QNLI", ("question", "sentence"), "label", *ACCURACY, labels=YES_NO),
        _task("RTE", ("sentence1", "sentence2"), "label", *ACCURACY, labels=YES_NO),
        _task("WNLI", ("sentence1", "sentence2"), "label", *ACCURACY),
    )
}

# Rows of the official train and dev files. Any other number makes a task a subset.
OFFICIAL = {
    "CoLA": (8551, 1043), "SST-2": (67349, 872), "MRPC": (3668, 408), "STS-B": (5749, 1500), "QQP": (363846, 40430),
    "MNLI": (392702, 9815), "QNLI": (104743, 5463), "RTE": (2490, 277), "WNLI": (635, 71),
}  # fmt: skip

# nyu-mll/glue on the hub: configuration and text columns.
HUB = {
    "CoLA": ("cola", ("sentence",)), "SST-2": ("sst2", ("sentence",)), "MRPC": ("mrpc", ("sentence1", "sentence2")),
    "STS-B": ("stsb", ("sentence1", "sentence2")), "QQP": ("qqp", ("question1", "question2")),
    "MNLI": ("mnli", ("premise", "hypothesis")), "QNLI": ("qnli", ("question", "sentence")),
    "RTE": ("rte", ("sentence1", "sentence2")), "WNLI": ("wnli", ("sentence1", "sentence2")),
}  # fmt: skip

Rows = list[tuple[tuple[str, ...], float | int]]


def load(task: Task, study: Study) -> tuple[Task, Rows, Rows]:
    """Return the task and its train and dev rows, ((text, ...), label).

    The task says whether it is a subset, how many lines were skipped, and the SHA-256 of the files that were read.
    Raises GrowBenchError for a file that is missing, damaged or not this task's.
    """
    if task.suite == "GLUE" and study.tasks.source == "hub":
        return _hub(task, study)
    (train, short, one), (dev, more, other) = ((*_rows(task, file), file) for file in _files(task, study))
    found = {file.path.name: file.sha256 for file in (one, other)}
    subset = task.suite == "GLUE" and (len(train), len(dev)) != OFFICIAL[task.name]
    return replace(task, subset=subset, skipped=short + more, files=found), train, dev


def second(task: Task, study: Study) -> tuple[Task, Rows]:
    """Return the rows of a task's second dev set, and the task with the SHA-256 of what was read; no rows without one."""
    if task.second is None:
        return task, []
    _, file, split = task.second
    if study.tasks.source == "hub":
        return _hub_second(task, study, split)
    folder = local.data_folder(study, "tasks.source")
    if not (folder / "glue" / task.name / file).is_file():
        return task, []
    found = local.read(folder / "glue" / task.name / file, folder, f"put {task.name}'s official file there")
    return replace(task, files={**task.files, file: found.sha256}), _rows(task, found)[0]


def task(name: str, study: Study) -> Task:
    """Return the task of this name in the study's suite. Raises GrowBenchError if there is none."""
    if study.tasks.source == "toyglue":
        from growbench.tasks.toyglue import TASKS as known
    else:
        known = TASKS
    if name not in known:
        raise GrowBenchError(f"tasks.names: '{name}' is not known; {nearest(name, known)}")
    return known[name]


def check(study: Study) -> None:
    """Raise the GrowBenchError that load() would raise for the rows of any local task, before anything is spent."""
    if study.tasks.source == "local":
        for name in (name for name in study.tasks.names if name not in SQUAD_TASKS):
            load(task(name, study), study)


def _files(task: Task, study: Study) -> Iterator[LocalFile]:
    """Read the train file, then the dev file."""
    names = (task.train_file, task.dev_file)
    if task.suite != "GLUE":
        from growbench.tasks import toyglue

        yield from toyglue.read(task, names, study)
        return
    folder = local.data_folder(study, "tasks.source")
    remedy = f"put {task.name}'s official file there"
    for name in names:
        yield local.read(folder / "glue" / task.name / name, folder, remedy)


def _rows(task: Task, file: LocalFile) -> tuple[Rows, int]:
    """Return the rows of a TSV file, and how many lines were skipped. Columns are found by name; quotes are plain characters."""
    path, remedy, skipped = file.path, f"put {task.name}'s official file there", 0
    found: Rows = []
    lines = csv.reader(io.StringIO(file.text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
    try:
        columns = list(task.header) if isinstance(task.header, tuple) else next(lines, [])
        places = [_place(column, columns, path) for column in (*task.text_columns, task.label_column)]
        for line in lines:
            if len(line) > max(places):
                *texts, label = (line[place] for place in places)
                found.append((tuple(texts), _label(task, label, f"{path}:{lines.line_num}")))
            elif task.skips_short:
                skipped += 1
            else:
                raise GrowBenchError(
                    f"{path}:{lines.line_num}: {len(line)} columns, fewer than in the header; fix the line"
                )
    except csv.Error as error:
        raise GrowBenchError(f"{path}:{lines.line_num}: not a line of this file ({error}); {remedy}") from error
    if not found:
        raise GrowBenchError(f"{path}: holds no rows; {remedy}")
    if skipped:
        log.info("%s: %d lines lack columns and are skipped, as the official readers do", path, skipped)
    return found, skipped


def _place(column: str, columns: list[str], path: Path) -> int:
    if column not in columns:
        raise GrowBenchError(
            f"{path}: no column '{column}'; it has {', '.join(map(_brief, columns[:20])) or 'none'}; use the official file"
        )
    return columns.index(column)


def _label(task: Task, label: str, where: str) -> float | int:
    if task.labels is not None:
        if label not in task.labels:
            raise GrowBenchError(f"{where}: label {_brief(label)} is not one of {', '.join(task.labels)}; fix the line")
        return task.labels.index(label)
    low, high = task.limits
    try:
        value = float(label)
    except ValueError as error:
        raise GrowBenchError(f"{where}: label {_brief(label)} is not a number; fix the line") from error
    if not (math.isfinite(value) and low <= value <= high):
        raise GrowBenchError(f"{where}: label {_brief(label)} is not between {low:g} and {high:g}; fix the line")
    return value


def _brief(value: str) -> str:
    """Return text of a file as a part of an error line: quoted, and not too long."""
    return shown(repr(value if len(value) <= 60 else f"{value[:60]}..."))


def _hub(task: Task, study: Study) -> tuple[Task, Rows, Rows]:
    name, columns = HUB[task.name]
    try:
        found = hub.load(study, "nyu-mll/glue", name)
    except Exception as error:
        raise GrowBenchError(
            f"tasks.source: {task.name} cannot be downloaded ({hub.reason(error)}); fix the network or use local files"
        ) from error
    dev = "validation_matched" if task.name == "MNLI" else "validation"
    splits = {split: [_hub_row(task, columns, row, split) for row in found[split]] for split in ("train", dev)}
    read = {split: hub.digest(rows) for split, rows in splits.items()}
    return replace(task, files=read), splits["train"], splits[dev]


def _hub_second(task: Task, study: Study, split: str) -> tuple[Task, Rows]:
    name, columns = HUB[task.name]
    rows = [_hub_row(task, columns, row, split) for row in hub.load(study, "nyu-mll/glue", name)[split]]
    return replace(task, files={**task.files, split: hub.digest(rows)}), rows


def _hub_row(
    task: Task, columns: tuple[str, ...], row: Mapping[str, Any], split: str
) -> tuple[tuple[str, ...], float | int]:
    texts, label = tuple(row[column] for column in columns), row["label"]
    low, high = task.limits if task.regression else (0, task.num_labels - 1)
    if not all(isinstance(text, str) for text in texts) or not (
        isinstance(label, int | float) and low <= label <= high
    ):
        raise GrowBenchError(
            f"tasks.source: a row of {task.name}'s split {split} has no text or no label ({_brief(str(row))}); "
            "use local files"
        )
    return texts, label
