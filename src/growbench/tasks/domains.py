"""Texts of several domains, on which a causal model's bits per byte are measured. No torch.

Texts are used whole, each from its beginning. Of a domain with more than MOST bytes, texts from all over it are taken.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from growbench.errors import GrowBenchError
from growbench.study.squad import SQUAD_TASKS
from growbench.study.study import Study
from growbench.tasks import detokenize, glue, language, squad

MOST = 1_500_000  # bytes of UTF-8
ARTICLE = re.compile(r"^ = (?!= ).* = $", re.MULTILINE)  # a level-one heading of WikiText
HELD_OUT = "bytes/held-out"
TASKS = {"bytes/SST-2": "SST-2", "bytes/MRPC": "MRPC", "bytes/QQP": "QQP", "bytes/SQuAD": "SQuAD1.1"}


@dataclass(frozen=True, slots=True)
class Domain:
    """Texts of one domain.

    name: of the test set. texts: without surrounding space. subset: whether its files are not the official ones.
    files: the SHA-256 of each file that it was read from.
    """

    name: str
    texts: list[str]
    subset: bool
    files: dict[str, str]


def held_out(documents: Sequence[str], sha256: str) -> Domain:
    """Return the held-out documents of a study as a domain. sha256: of their file."""
    return _domain(HELD_OUT, documents, False, {"text": sha256})


def load(name: str, study: Study) -> Domain:
    """Return the domain of this name from `zeroshot.source`. Raises GrowBenchError if its files are missing or damaged.

    WikiText-2: the articles of the test file, detokenized. SST-2, MRPC, QQP: the sentences of the dev rows. SQuAD: the
    passages of the dev questions.
    """
    if name == "bytes/WikiText-2":
        text = language.load("WikiText-2", study)
        return _domain(name, map(detokenize.wikitext, articles(text.running)), text.subset, {"test": text.sha256})
    task = TASKS[name]
    there = replace(study, tasks=replace(study.tasks, source=study.zeroshot.source))
    if task in SQUAD_TASKS:
        about, _, questions = squad.load(task, there)
        texts = [question.context for question in questions]
    else:
        about, _, rows = glue.load(glue.task(task, there), there)
        texts = [text for row, _ in rows for text in row]
    return _domain(name, texts, about.subset, dict(about.files))


def articles(text: str) -> list[str]:
    """Return the articles of a file of WikiText."""
    starts = [0, *(found.start() for found in ARTICLE.finditer(text))]
    return [text[begin:end] for begin, end in zip(starts, [*starts[1:], len(text)], strict=True)]


def _domain(name: str, texts: Iterable[str], subset: bool, files: dict[str, str]) -> Domain:
    known = list(dict.fromkeys(text.strip() for text in texts if text.strip()))
    if not known:
        raise GrowBenchError(f"zeroshot.names: {name} has no text; leave it out")
    return Domain(name, limited(known, MOST), subset, files)


def limited(texts: Sequence[str], most: int) -> list[str]:
    """Return texts of at most `most` bytes in all, from all over the list and in its order; the first text in any case."""
    order = sorted(range(len(texts)), key=lambda n: hashlib.blake2b(str(n).encode(), digest_size=8).digest())
    chosen: list[int] = []
    size = 0
    for number in order:
        size += len(texts[number].encode())
        if size > most and chosen:
            break
        chosen.append(number)
    return [texts[number] for number in sorted(chosen)]
