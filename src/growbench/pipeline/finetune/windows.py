"""Questions and contexts as overlapping windows of tokens: special tokens, question, a part of the context.

Each window starts `doc_stride` tokens after the previous one, as in BERT's code. A window that does not hold the whole
answer has the label "no answer here": both ends at the null token. The null token is the first special token; for a
causal model it is the last one, since the earlier ones have not read the context.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus.plain import PlainTokenizer
from growbench.pipeline.finetune.rows import Encoded
from growbench.study.sections import FinetuneConfig
from growbench.study.squad import question_limit
from growbench.tasks.squad import Question


@dataclass(frozen=True)
class Frame:
    """The special tokens that a tokenizer puts around a pair.

    before, between, after: their ids. types: the token types of the two parts.
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    types: tuple[int, int]

    @property
    def size(self) -> int:
        return len(self.before) + len(self.between) + len(self.after)


@dataclass(frozen=True)
class ContextWindows(Encoded):
    """Windows over contexts, one per row. labels [rows, 2]: the first and last token of the answer.

    question: the number of the window's question, [rows].
    place: the position of its first context token, [rows].
    count: the number of its context tokens, [rows].
    null: the position of its null token, [rows].
    spans: for each row, the characters (from, to) of its context tokens, [count, 2].
    asked: tokens of each question before it is cut, [questions].
    """

    question: np.ndarray
    place: np.ndarray
    count: np.ndarray
    null: np.ndarray
    spans: Sequence[np.ndarray]
    asked: np.ndarray

    def longer(self, length: int) -> int:
        """Return how many questions have a window of more than `length` tokens."""
        return len({int(q) for q, ids in zip(self.question, self.ids, strict=True) if len(ids) > length})


def frame(tokenizer: PlainTokenizer, causal: bool) -> Frame:
    """Find the special tokens around a pair. If the tokenizer adds none for the null token, its cls or sep is used."""
    out = tokenizer.fast("a", "b", return_token_type_ids=True)
    parts, ids, types = out.sequence_ids(), out["input_ids"], out["token_type_ids"]
    first, second = ([i for i, part in enumerate(parts) if part == n] for n in (0, 1))
    edges = (0, first[0], first[-1] + 1, second[0], second[-1] + 1, len(ids))
    before, _, between, _, after = (tuple(ids[a:b]) for a, b in pairwise(edges))
    null = tokenizer.fast.sep_token_id if causal else tokenizer.fast.cls_token_id
    if null is None and not (after if causal else before):
        raise GrowBenchError("corpus.tokenizer: no special token can mean `no answer`; use one with cls and sep")
    before, after = (before, after or (null,)) if causal else (before or (null,), after)
    return Frame(before, between, after, (types[first[0]], types[second[0]]))


def context_windows(
    tokenizer: PlainTokenizer, questions: Sequence[Question], settings: FinetuneConfig, causal: bool
) -> ContextWindows:
    """Cut the contexts of questions into windows of at most `settings.max_length` tokens."""
    around, limit = frame(tokenizer, causal), question_limit(settings.max_length)
    asked = tokenizer.rows([q.text for q in questions], add_special_tokens=False)["input_ids"]
    contexts = {text: number for number, text in enumerate(dict.fromkeys(q.context for q in questions))}
    read = tokenizer.rows(list(contexts), add_special_tokens=False, return_offsets_mapping=True)
    tokens = [np.asarray(ids, dtype=np.int32) for ids in read["input_ids"]]
    spans = [np.asarray(pairs, dtype=np.int32).reshape(-1, 2) for pairs in read["offset_mapping"]]
    rows = []
    for number, question in enumerate(questions):
        context = contexts[question.context]
        ids = np.asarray(asked[number][:limit], dtype=np.int32)
        answer = answer_tokens(question, spans[context])
        room = settings.max_length - around.size - len(ids)
        for start, stop in cuts(len(tokens[context]), room, settings.doc_stride):
            row = _row(around, ids, tokens[context][start:stop], causal)
            rows.append((*row, number, stop - start, spans[context][start:stop], _label(row, answer, start, stop)))
    ids, types, place, null, question, count, characters, labels = zip(*rows, strict=True)
    where = {"question": question, "place": place, "count": count, "null": null}
    arrays = {key: np.asarray(column) for key, column in where.items()}
    before = np.asarray([len(ids) for ids in asked], dtype=np.int64)
    return ContextWindows(
        ids=ids, types=types, labels=np.asarray(labels, dtype=np.int64), spans=characters, asked=before,
        cut=int((before > limit).sum()), **arrays,
    )  # fmt: skip


def cuts(length: int, room: int, stride: int) -> list[tuple[int, int]]:
    """Return the windows (first token, one past the last) of a context of `length` tokens, up to its end."""
    found, start = [(0, min(room, length))], 0
    while found[-1][1] < length:
        start += min(stride, room)
        found.append((start, min(start + room, length)))
    return found


def answer_tokens(question: Question, spans: np.ndarray) -> tuple[int, int] | None:
    """Return the first and last context token of the first answer; None if there is no answer or no token covers it."""
    if not question.answers or not len(spans):
        return None
    text = question.answers[0]
    start = question.start + len(text) - len(text.lstrip())
    first = int(np.searchsorted(spans[:, 1], start, side="right"))
    last = int(np.searchsorted(spans[:, 0], start + len(text.strip()), side="left")) - 1
    return (first, last) if first <= last else None


def _row(
    around: Frame, question: np.ndarray, part: np.ndarray, causal: bool
) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Return ids, token types, the position of the first context token, and that of the null token."""
    head = (*around.before, *question, *around.between)
    ids = np.asarray((*head, *part, *around.after), dtype=np.int32)
    types = np.full(len(ids), around.types[1], dtype=np.int8)
    types[: len(head)] = around.types[0]
    return ids, types, len(head), len(ids) - 1 if causal else 0


def _label(row: tuple[Any, ...], answer: tuple[int, int] | None, start: int, stop: int) -> tuple[int, int]:
    place, null = row[2], row[3]
    if answer is None or answer[0] < start or answer[1] >= stop:
        return null, null
    return place + answer[0] - start, place + answer[1] - start
