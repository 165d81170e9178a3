"""How many rows of a task are cut at finetune.max_length, and how many use positions that pre-training never reached.

A task most of whose rows are cut measures what is left of them: it is refused before anything is trained.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus import plain
from growbench.pipeline.corpus.plain import PlainTokenizer
from growbench.study.squad import QUESTION, SQUAD_TASKS, question_limit
from growbench.study.study import Study
from growbench.tasks import glue, squad

SAMPLE = 1000  # rows of each file that a forecast reads
SPLITS = ("train", "dev")
Lengths = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Share:
    """What happens to the rows of one file of a task.

    task, split: which rows. limit: finetune.max_length of the task.
    cut: share of its rows that are cut. unreached: share that is beyond what pre-training reached after the cut.
    enough: the smallest max_length at which no more rows are cut than allowed; None if none is long enough.
    """

    task: str
    split: str
    limit: int
    cut: float
    unreached: float
    enough: int | None

    def check(self, most: float) -> None:
        """Raise GrowBenchError if more rows are cut than the share `most`."""
        if self.cut <= most:
            return
        longer = "" if self.enough is None else f"use at least {self.enough}, "
        raise GrowBenchError(
            f"finetune.max_length: {self.limit} cuts {self.cut:.0%} of {self.task}'s {self.split} rows, more than "
            f"finetune.most_cut {most:g} allows; {longer}raise finetune.most_cut, or leave {self.task} out of tasks.names"
        )


def of_rows(task: str, split: str, found: Lengths, limit: int, most: float, reached: int) -> Share:
    """Return the shares of rows of a task that is not SQuAD.

    found: tokens of each row before it is cut. most: finetune.most_cut. reached: the length of pre-training's sequences.
    """
    longer = float(np.mean(np.minimum(found, limit) > reached))
    return Share(task, split, limit, float(np.mean(found > limit)), longer, _enough(found, most))


def of_questions(task: str, split: str, asked: Lengths, whole: Lengths, limit: int, most: float, reached: int) -> Share:
    """Return the shares of SQuAD's questions. A context is never cut, as it is read in windows; a long question is.

    asked: tokens of each question. whole: tokens of question and context together.
    """
    cut, wanted = float(np.mean(asked > question_limit(limit))), _enough(asked, most)
    longer = float(np.mean(np.minimum(whole, limit) > reached))
    return Share(task, split, limit, cut, longer, 2 * wanted if wanted <= QUESTION else None)


def _enough(found: Lengths, most: float) -> int:
    """Return the smallest limit that cuts at most a share `most` of rows of these lengths."""
    return int(np.sort(found)[max(0, int(np.ceil((1 - most) * len(found))) - 1)])


def lengths(tokenizer: PlainTokenizer, columns: Sequence[Sequence[str]], **options: Any) -> Lengths:
    """Return how many tokens rows have before they are cut, [rows]. columns: one for single texts, two for pairs."""
    found = tokenizer.rows(*map(list, columns), verbose=False, **options)["input_ids"]
    return np.asarray([len(ids) for ids in found], dtype=np.int64)


def tokenized(
    tokenizer: PlainTokenizer, columns: Sequence[Sequence[str]], limit: int
) -> tuple[list[list[int]], list[list[int]], Lengths]:
    """Return the ids and token types of rows, cut to `limit` tokens, and how many tokens they had before.

    Of a pair the longer text is cut first, as the stock tokenizer does.
    """
    texts = [list(column) for column in columns]
    out = tokenizer.rows(*texts, verbose=False)
    ids, types = out["input_ids"], out["token_type_ids"]
    before = np.asarray([len(row) for row in ids], dtype=np.int64)
    if len(long := np.flatnonzero(before > limit)):
        short = tokenizer.rows(*([column[i] for i in long] for column in texts), truncation=True, max_length=limit)
        for place, row, kinds in zip(long, short["input_ids"], short["token_type_ids"], strict=True):
            ids[place], types[place] = row, kinds
    return ids, types, before


def forecast(study: Study) -> Iterator[Share]:
    """Yield the shares of every task, from at most SAMPLE evenly spaced rows of each of its files.

    Nothing if there is no tokenizer yet, if the tasks are on the hub or of images. Raises GrowBenchError for a broken file.
    """
    layout, source = study.layout, study.tasks.source
    missing = source == "toyglue" and not layout.tasks_manifest.exists()
    if study.images is not None or source == "hub" or missing or not layout.corpus_manifest.exists():
        return
    tokenizer = plain.load(layout.tokenizer)
    for name in study.tasks.names:
        for split, rows in zip(SPLITS, _rows(study, name), strict=True):
            yield _share(study, tokenizer, name, split, rows)


def _rows(study: Study, name: str) -> list[list[Any]]:
    found: Any = squad.load(name, study) if name in SQUAD_TASKS else glue.load(glue.task(name, study), study)
    spaced = [np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).astype(int) for rows in found[1:]]
    return [[rows[i] for i in places] for rows, places in zip(found[1:], spaced, strict=True)]


def _share(study: Study, tokenizer: PlainTokenizer, name: str, split: str, rows: list[Any]) -> Share:
    own, reached = study.finetune.of(name), study.reached
    if name in SQUAD_TASKS:
        texts, contexts = [row.text for row in rows], [row.context for row in rows]
        asked = lengths(tokenizer, [texts], add_special_tokens=False)
        return of_questions(
            name, split, asked, lengths(tokenizer, [texts, contexts]), own.max_length, own.most_cut, reached
        )
    columns = list(zip(*(row[0] for row in rows), strict=True))
    apart = own.protocol == "probe"  # reads the texts of a pair one by one
    found = np.max([lengths(tokenizer, [c]) for c in columns], axis=0) if apart else lengths(tokenizer, columns)
    return of_rows(name, split, found, own.max_length, own.most_cut, reached)
