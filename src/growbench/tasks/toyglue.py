"""toyglue: five generated tasks in the shape of GLUE's, from the grammar of the synthetic language. Never GLUE.

    acceptability  one sentence; 0: one verb or noun in the wrong number, or two adjacent words swapped (CoLA; Matthews)
    topic          one sentence; which of the grammar's topics its document has (SST-2; accuracy)
    paraphrase     1: the same with other function words and the adverb moved to the front; 0: content words changed
                   as well, in half of the rows only some, in the other half all (MRPC; accuracy and F1)
    entailment     hypothesis: the premise without its modifiers (entailment), the same with its verb negated or no
                   longer negated (contradiction), the same about other things (neutral) (MNLI; accuracy)
    similarity     5 x the share of content words that the second sentence keeps (STS-B; Pearson, Spearman)

Every label follows from how its row was made, and unacceptable sentences are checked against the grammar. Each row
starts from a different sentence, and no sentence is in both train and dev.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from growbench.errors import GrowBenchError
from growbench.records import manifest
from growbench.runtime import durable, lock
from growbench.study.study import Study
from growbench.synthetic.lexicon import FIXED, TOPICS
from growbench.synthetic.sentences import Sentence, foreign, grammatical, other_number, redraw, sentences
from growbench.tasks import Task, local
from growbench.tasks.local import LocalFile

VERSION = 2
REMEDY = "run `growbench corpus` again"
TRAIN, DEV = 2000, 500
STREAM = 1 << 21
THREE = ("entailment", "neutral", "contradiction")
AGREEING = ("agent", "thing", "take", "stand", "Cop")
FUNCTION = ("Det s", "Det p", "Rel agent", "Rel thing", "Conj")
Row = tuple[str, ...]


def _task(name: str, pair: bool, *metrics: str, **more: Any) -> Task:
    texts = ("sentence1", "sentence2") if pair else ("sentence",)
    values = {"num_labels": 2, "labels": ("0", "1"), "label_column": "label", **more}
    return Task(name=name, suite="toyglue", text_columns=texts, metrics=metrics, main=metrics[0], **values)


TASKS = {
    task.name: task
    for task in (
        _task("acceptability", False, "matthews", "accuracy"),
        _task("topic", False, "accuracy", num_labels=len(TOPICS), labels=tuple(TOPICS)),
        _task("paraphrase", True, "accuracy", "f1"),
        _task("entailment", True, "accuracy", num_labels=3, labels=THREE),
        _task("similarity", True, "pearson", "spearman", num_labels=1, labels=None, label_column="score"),
    )
}


def acceptability(seed: int, number: int, s: Sentence, rng: np.random.Generator) -> Row | None:
    """Return (sentence, 0 or 1), None if no fault can be made. Two thirds of the faults are errors of number."""
    if number % 2:
        return s.text, "1"
    faulty = _wrong_number(s, rng) if rng.random() < 2 / 3 else _swapped(s, rng)
    return (" ".join(faulty), "0") if faulty and not grammatical(faulty) else None


def _wrong_number(s: Sentence, rng: np.random.Generator) -> tuple[str, ...] | None:
    places = [i for i, name in enumerate(s.classes) if name.endswith((" s", " p")) and name.split()[0] in AGREEING]
    place = int(rng.choice(places))
    return s.with_words({place: other_number(s.words[place])}).words


def _swapped(s: Sentence, rng: np.random.Generator) -> tuple[str, ...]:
    place = int(rng.integers(len(s.words) - 2))
    words = list(s.words)
    words[place : place + 2] = words[place + 1], words[place]
    return tuple(words)


def topic(seed: int, number: int, s: Sentence, rng: np.random.Generator) -> Row:
    """Return (sentence, topic)."""
    return s.text, s.about.topic


def paraphrase(seed: int, number: int, s: Sentence, rng: np.random.Generator) -> Row | None:
    """Return (sentence, sentence, 1 or 0), None if the sentence has no other function words."""
    places = s.content()
    other = _reworded(s, rng)
    if other.words == s.words:
        return None
    if number % 2:
        return s.text, _fronted(other).text, "1"
    some = sorted(rng.choice(places, size=(len(places) + 2) // 3, replace=False)) if number % 4 else places
    return s.text, _fronted(redraw(other, list(some), foreign(s.latent, rng), seed, rng)).text, "0"


def _reworded(s: Sentence, rng: np.random.Generator) -> Sentence:
    """Return the sentence with its function words replaced by others of the same class."""
    places = [i for i, name in enumerate(s.classes) if name in FUNCTION]
    return s.with_words({i: str(rng.choice(FIXED[s.classes[i]].split())) for i in places})


def _fronted(s: Sentence) -> Sentence:
    """Turn `... Adv .` into `Adv , ... .` if the sentence is one clause."""
    if s.classes[-2] != "Adv" or s.classes[0] == "Adv" or "Conj" in s.classes:
        return s
    return Sentence((s.words[-2], ",", *s.words[:-2], "."), ("Adv", ",", *s.classes[:-2], "."), s.latent)


def entailment(seed: int, number: int, s: Sentence, rng: np.random.Generator) -> Row | None:
    """Return (premise, hypothesis, label), None if the sentence has no single main verb."""
    verb = _main_verb(s)
    if verb is None:
        return None
    label = THREE[number % 3]
    if label == "contradiction":
        return s.text, _plain(_negated(s, verb)).text, label
    if label == "neutral":
        return s.text, _plain(redraw(s, s.content(), foreign(s.latent, rng), seed, rng)).text, label
    return s.text, _plain(s).text, label


def _main_verb(s: Sentence) -> int | None:
    """Return the index of the verb if the sentence has exactly one verb and no copula."""
    verbs = [i for i, name in enumerate(s.classes) if name.split()[0] in ("take", "stand", "Cop")]
    return verbs[0] if len(verbs) == 1 and not s.classes[verbs[0]].startswith("Cop") else None


def _negated(s: Sentence, verb: int) -> Sentence:
    if s.classes[verb - 1] == "Never":
        return s.without({verb - 1})
    words, names = list(s.words), list(s.classes)
    words.insert(verb, "never")
    names.insert(verb, "Never")
    return Sentence(tuple(words), tuple(names), s.latent)


def _plain(s: Sentence) -> Sentence:
    """Return the sentence without adjectives and adverbs."""
    drop = {i for i, name in enumerate(s.classes) if name in ("Adj", "Adv")}
    comma = {i for i in range(1, len(s.words)) if s.classes[i] == "," and i - 1 in drop}
    return s.without(drop | comma)


def similarity(seed: int, number: int, s: Sentence, rng: np.random.Generator) -> Row:
    """Return (sentence, sentence, score)."""
    places = s.content()
    changed = int(rng.integers(len(places) + 1))
    some = sorted(rng.choice(places, size=changed, replace=False))
    second = redraw(_reworded(s, rng), list(some), foreign(s.latent, rng), seed, rng)
    return s.text, second.text, f"{5 * (1 - changed / len(places)):.3f}"


MAKERS: dict[str, Callable[[int, int, Sentence, np.random.Generator], Row | None]] = {
    "acceptability": acceptability, "topic": topic, "paraphrase": paraphrase, "entailment": entailment,
    "similarity": similarity,
}  # fmt: skip


def rows(name: str, seed: int) -> Iterator[Row]:
    """Yield the rows of a task, endlessly."""
    rng = np.random.default_rng([seed, STREAM, list(TASKS).index(name)])
    drawn, number = sentences(seed, rng), 0
    for sentence in drawn:
        row = MAKERS[name](seed, number, sentence, rng)
        if row is not None:
            number += 1
            yield row


def build(study: Study) -> Path:
    """Write the study's tasks and return the path of their manifest, which is written last."""
    folder = study.layout.tasks
    with lock.held(study.layout.tasks_lock), durable.writing(folder):
        work = folder.with_name(f".{folder.name}.building")
        shutil.rmtree(work, ignore_errors=True)
        made = {name: _write(work / name, name, study.corpus.seed) for name in study.tasks.names}
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(work, folder)
        manifest.write(study.layout.tasks_manifest, {"version": VERSION, "seed": study.corpus.seed, "tasks": made})
    return study.layout.tasks_manifest


def read(task: Task, names: Sequence[str], study: Study) -> list[LocalFile]:
    """Read files of a generated task. Raises GrowBenchError if they are missing, or not what the manifest says."""
    folder, path = study.layout.tasks, study.layout.tasks_manifest
    if not path.is_file():
        raise GrowBenchError(f"{path}: no generated tasks here; run `growbench corpus`")
    written = manifest.read(path, VERSION, REMEDY)
    if task.name not in written["tasks"]:
        raise GrowBenchError(f"{path}: {task.name} is not among the generated tasks; {REMEDY}")
    if written["seed"] != study.corpus.seed:
        raise GrowBenchError(
            f"{path}: made from seed {written['seed']}, but corpus.seed is {study.corpus.seed}; {REMEDY}"
        )
    files = [local.read(folder / task.name / name, folder, REMEDY) for name in names]
    for file in files:
        if file.sha256 != written["tasks"][task.name][file.path.name]["sha256"]:
            raise GrowBenchError(f"{file.path}: its SHA-256 does not match {path}; {REMEDY}")
    return files


def _write(folder: Path, name: str, seed: int) -> dict[str, Any]:
    task, source, made = TASKS[name], rows(name, seed), {}
    header = "\t".join((*task.text_columns, task.label_column))
    for file, count in ((task.train_file, TRAIN), (task.dev_file, DEV)):
        lines = ["\t".join(row) for row in islice(source, count)]
        durable.write_text(folder / file, "\n".join([header, *lines, ""]))
        made[file] = {"rows": len(lines), "sha256": durable.digest(folder / file)}
    return made
