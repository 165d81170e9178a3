"""GLUE (Wang et al., 2019): its nine tasks, in the official file layout below data.dir/glue/<task> or from the hub."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError, nearest
from growbench.study.squad import SQUAD_TASKS
from growbench.study.study import Study
from growbench.tasks import Task, hub

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
        _task("QQP", ("question1", "question2"), "is_duplicate", *TWO),
        _task(
            "MNLI",
            ("sentence1", "sentence2"),
            "gold_label",
            *ACCURACY,
            num_labels=3,
            labels=THREE,
            dev_file="dev_matched.tsv",
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
    """Return the task, marked as a subset if it is one, and its train and dev rows, ((text, ...), label)."""
    if task.suite == "GLUE" and study.tasks.source == "hub":
        return _hub(task, study)
    folder = _folder(task, study)
    train, dev = (list(_rows(task, folder / file)) for file in (task.train_file, task.dev_file))
    if task.suite == "GLUE":
        task = replace(task, subset=(len(train), len(dev)) != OFFICIAL[task.name])
    return task, train, dev


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
    """Raise GrowBenchError if a file or column of a local task is missing, before anything is spent."""
    if study.tasks.source == "local":
        for name in (name for name in study.tasks.names if name not in SQUAD_TASKS):
            chosen = task(name, study)
            for file in (chosen.train_file, chosen.dev_file):
                next(_rows(chosen, _folder(chosen, study) / file))


def _folder(task: Task, study: Study) -> Path:
    if task.suite != "GLUE":
        return study.layout.tasks / task.name
    if study.data.dir is None:
        raise GrowBenchError(
            "data.dir: not set, but tasks.source is local; set data.dir or GROWBENCH_DATA to the data folder"
        )
    return Path(study.data.dir) / "glue" / task.name


def _rows(task: Task, path: Path) -> Iterator[tuple[tuple[str, ...], float | int]]:
    """Yield the rows of a TSV file. Columns are found by name; quotes are plain characters."""
    try:
        handle = open(path, encoding="utf-8-sig", newline="")
    except OSError as error:
        raise GrowBenchError(
            f"{path}: cannot be read ({error.strerror}); put {task.name}'s official file there"
        ) from error
    with handle:
        lines = csv.reader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
        columns = list(task.header) if isinstance(task.header, tuple) else next(lines, [])
        places = [_place(column, columns, path) for column in (*task.text_columns, task.label_column)]
        found = False
        for line in lines:
            if len(line) <= max(places):
                raise GrowBenchError(
                    f"{path}:{lines.line_num}: {len(line)} columns, fewer than in the header; fix the line"
                )
            *texts, label = (line[place] for place in places)
            found = True
            yield tuple(texts), _label(task, label, f"{path}:{lines.line_num}")
        if not found:
            raise GrowBenchError(f"{path}: holds no rows; put {task.name}'s official file there")


def _place(column: str, columns: list[str], path: Path) -> int:
    if column not in columns:
        raise GrowBenchError(f"{path}: no column '{column}'; it has {', '.join(columns)}; use the official file")
    return columns.index(column)


def _label(task: Task, label: str, where: str) -> float | int:
    if task.labels is not None:
        if label not in task.labels:
            raise GrowBenchError(f"{where}: label '{label}' is not one of {', '.join(task.labels)}; fix the line")
        return task.labels.index(label)
    try:
        return float(label) if task.regression else int(label)
    except ValueError as error:
        raise GrowBenchError(f"{where}: label '{label}' is not a number; fix the line") from error


def _hub(task: Task, study: Study) -> tuple[Task, Rows, Rows]:
    name, columns = HUB[task.name]
    try:
        found = hub.load(study, "nyu-mll/glue", name)
    except Exception as error:
        raise GrowBenchError(
            f"tasks.source: {task.name} cannot be downloaded ({hub.reason(error)}); fix the network or use local files"
        ) from error
    dev = "validation_matched" if task.name == "MNLI" else "validation"
    train, valid = ([(tuple(r[c] for c in columns), r["label"]) for r in found[split]] for split in ("train", dev))
    return task, train, valid
