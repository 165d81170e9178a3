"""SQuAD 1.1 and 2.0 (Rajpurkar et al., EMNLP 2016, 1606.05250; ACL 2018, 1806.03822): answers are spans of a context.

Files: the official JSON below data.dir, `squad/train.json` and `squad/dev.json` (1.1), `squad_v2/...` (2.0); or
rajpurkar/squad and rajpurkar/squad_v2 on the hub. This module imports no torch.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, replace
from typing import Any

from growbench.errors import GrowBenchError, shown
from growbench.study.squad import SQUAD_TASKS
from growbench.study.study import Study
from growbench.tasks import Task, hub, local
from growbench.tasks.local import LocalFile

log = logging.getLogger(__name__)
FOLDERS = {"SQuAD1.1": "squad", "SQuAD2.0": "squad_v2"}  # also the names on the hub
OFFICIAL = {"SQuAD1.1": (87599, 10570), "SQuAD2.0": (130319, 11873)}  # questions of train and dev


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    id: from the file. text: the question itself. context: the passage that holds the answer.
    answers: the gold answers, empty if the context holds no answer.
    start: where in the context the first answer begins, in characters; 0 without an answer.
    """

    id: str
    text: str
    context: str
    answers: tuple[str, ...]
    start: int


def task(name: str) -> Task:
    """Return the description of one version."""
    return Task(
        name=name, suite="SQuAD", text_columns=("question", "context"), label_column="answers", num_labels=2, labels=None,
        metrics=("f1", "exact_match"), main="f1", train_file="train.json", dev_file="dev.json",
    )  # fmt: skip


def load(name: str, study: Study) -> tuple[Task, list[Question], list[Question]]:
    """Return the task and its train and dev questions.

    The task says whether it is a subset, how many questions were left out, and the SHA-256 of what was read.
    """
    if study.tasks.source == "hub":
        found = _hub(name, study)
        read = {split: hub.digest(list(map(astuple, asked))) for split, (asked, _) in found.items()}
        (train, short), (dev, more) = found.values()
    else:
        ((train, short), one), ((dev, more), other) = ((_read(name, file), file) for file in _files(name, study))
        read = {file.path.name: file.sha256 for file in (one, other)}
    subset = (len(train), len(dev)) != OFFICIAL[name]
    return replace(task(name), subset=subset, skipped=short + more, files=read), train, dev


def check(study: Study) -> None:
    """Raise GrowBenchError if a local file is missing or unfit for its task, before anything is spent."""
    if study.tasks.source == "local":
        for name in (name for name in study.tasks.names if name in SQUAD_TASKS):
            load(name, study)


def _files(name: str, study: Study) -> Iterator[LocalFile]:
    """Read the train file, then the dev file."""
    folder, chosen = local.data_folder(study, "tasks.source"), task(name)
    remedy = f"put {name}'s official file there"
    for file in (chosen.train_file, chosen.dev_file):
        yield local.read(folder / FOLDERS[name] / file, folder, remedy)


def _read(name: str, file: LocalFile) -> tuple[list[Question], int]:
    path, remedy = file.path, f"put {name}'s official file there"
    try:
        values = json.loads(file.text)
    except (ValueError, RecursionError) as error:
        raise GrowBenchError(f"{path}: not JSON ({' '.join(str(error).split())}); {remedy}") from error
    try:
        found = list(_questions(values))
    except (KeyError, TypeError, IndexError, ValueError, AttributeError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
        raise GrowBenchError(f"{path}: not in SQuAD's layout ({type(error).__name__}: {reason}); {remedy}") from error
    return _checked(name, found, f"{path}")


def _questions(values: Mapping[str, Any]) -> Iterator[Question]:
    """Yield the questions of the official layout. 2.0's plausible answers to impossible questions are not answers."""
    for article in values["data"]:
        for paragraph in article["paragraphs"]:
            for entry in paragraph["qas"]:
                answers = [] if entry.get("is_impossible", False) else entry["answers"]
                texts, starts = [a["text"] for a in answers], [a["answer_start"] for a in answers]
                yield _question(entry["id"], entry["question"], paragraph["context"], texts, starts)


def _question(key: Any, text: Any, context: Any, texts: list[Any], starts: list[Any]) -> Question:
    """Return a question. Raises TypeError or ValueError if a part of it is not text, or an offset not a number."""
    for value in (key, text, context, *texts):
        if not isinstance(value, str):
            raise TypeError(f"{type(value).__name__} in place of text")
        value.encode()  # half of a surrogate pair is not text
    start = starts[0] if texts else 0
    if isinstance(start, bool) or not isinstance(start, int) or start < 0:
        raise ValueError(f"answer_start {start!r}")
    return Question(key, text, context, tuple(texts), start)


def _checked(name: str, questions: list[Question], where: str) -> tuple[list[Question], int]:
    """Return the questions whose first answer is in the context at its place, and how many were left out as theirs is not.

    Raises GrowBenchError if none is left, or if these are the questions of the other version.
    """
    if not questions:
        raise GrowBenchError(f"{where}: holds no questions; put {name}'s official file there")
    left = [q for q in questions if _reads_back(q)]
    if not any(q.answers for q in left) and len(left) < len(questions):
        first = next(q for q in questions if not _reads_back(q))
        raise GrowBenchError(
            f"{where}: no answer is in its context at its answer_start, as that of question {shown(first.id)} is not at "
            f"character {first.start}; put {name}'s official file there"
        )
    if short := len(questions) - len(left):
        log.info("%s: %d questions are left out, whose answer is not in the context at its place", where, short)
    empty = [q for q in left if not q.answers]
    if name == "SQuAD1.1" and empty:
        raise GrowBenchError(
            f"{where}: question {empty[0].id} has no answer, which SQuAD1.1 does not allow; use SQuAD2.0"
        )
    if name == "SQuAD2.0" and not empty:
        raise GrowBenchError(f"{where}: every question has an answer, so this is not SQuAD2.0; use SQuAD1.1")
    return left, short


def _reads_back(question: Question) -> bool:
    """Whether a question has no answer, or its first one is not only spaces and in the context at its place."""
    if not question.answers:
        return True
    return bool(question.answers[0].strip()) and question.context.startswith(question.answers[0], question.start)


def _hub(name: str, study: Study) -> dict[str, tuple[list[Question], int]]:
    try:
        found = hub.load(study, f"rajpurkar/{FOLDERS[name]}")
    except Exception as error:
        raise GrowBenchError(
            f"tasks.source: {name} cannot be downloaded ({hub.reason(error)}); fix the network or use local files"
        ) from error
    return {
        split: _checked(name, [_row(row) for row in found[split]], f"{name}, {split}")
        for split in ("train", "validation")
    }


def _row(row: Mapping[str, Any]) -> Question:
    answers = row["answers"]
    return _question(row["id"], row["question"], row["context"], answers["text"], answers["answer_start"])
