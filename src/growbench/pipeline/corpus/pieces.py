"""Text tokenized piece by piece: each piece is complete on disk before it counts, so that a job that is killed goes on after it.

A piece is up to BATCHES batches of one stream, in a file of arrays with a manifest beside it. The first pieces are made by
this process in threads; if there are more, several processes make one each. What is in the pieces, and their order, is the
same however many processes make them and however often the work was interrupted.
"""

import os
import signal
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus import encoded
from growbench.pipeline.corpus.encoded import Encoded, Recipe
from growbench.pipeline.corpus.plain import PlainTokenizer, load
from growbench.pipeline.corpus.text_source import TextStream
from growbench.records import manifest
from growbench.runtime import durable, interrupt, launch

VERSION = 1
BATCH_CHARACTERS = 2_000_000
BATCHES = 8  # of a piece
ALONE = 4  # pieces that are made before other processes start, which takes seconds


@dataclass(frozen=True, slots=True)
class Place:
    """Where reading goes on: a stream's number, and how many of its documents, and rows with and without text, are behind."""

    stream: int = 0
    documents: int = 0
    good: int = 0
    bad: int = 0
    first: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Documents of a stream, numbered from 0 within it. at: the place after them. after: where the next batch begins."""

    texts: list[tuple[int, str]]
    at: Place
    after: Place


@dataclass
class Pieces:
    """The pieces of one text, in order.

    folder: where they are; None keeps none. tokenizer: makes their ids. place: of the tokenizer's files. processes: how many
    may tokenize at the same time.
    """

    folder: Path | None
    tokenizer: PlainTokenizer
    place: Path | None = None
    processes: int = 1

    def encode(self, streams: Sequence[TextStream], recipe: Recipe) -> Generator[Encoded, None, None]:
        """Yield the batches of all streams, those of complete pieces first. Stop reading whenever enough has been taken."""
        number, at = 0, Place()
        while (found := self._complete(number)) is not None:
            yield from found
            number, at = number + 1, Place(**found[-1].after)
        batches = _batches(streams, at)
        alone = ALONE if self.processes > 1 and self.folder and self.place else None
        while alone is None or number < alone:
            made = []
            for batch in batches:
                made.append(_encoded(self.tokenizer, recipe, batch))
                yield made[-1]
                if _ends_piece(len(made), batch):
                    break
            if not made:
                return
            if self.folder is not None:
                _store(self.folder, number, made)
            number += 1
        yield from self._parallel(batches, recipe, number)

    def _parallel(self, batches: Iterator[Batch], recipe: Recipe, number: int) -> Iterator[Encoded]:
        """Have several processes make pieces; at most two for each are in work, or wait to be read."""
        assert self.folder is not None and self.place is not None
        pool = ProcessPoolExecutor(self.processes, get_context("spawn"), partial(_begin, self.place))
        waiting: deque[tuple[int, Future[None]]] = deque()
        groups = _groups(batches)
        try:
            while True:
                while len(waiting) < 2 * self.processes and (group := next(groups, None)):
                    waiting.append((number, pool.submit(_make, self.folder, number, recipe, group)))
                    number += 1
                if not waiting:
                    return
                made, future = waiting.popleft()
                future.result()
                yield from self._complete(made) or []
        except BrokenProcessPool as error:
            raise GrowBenchError(
                "corpus: a process that tokenized was killed; give the job more memory, and run the same command to resume"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)

    def _complete(self, number: int) -> list[Encoded] | None:
        """Return the batches of a piece; None if it is not complete."""
        if self.folder is None or not _named(self.folder, number, "json").is_file():
            return None
        path = _named(self.folder, number, "safetensors")
        try:
            about = manifest.read(_named(self.folder, number, "json"), VERSION, "")
        except GrowBenchError:
            return None
        if manifest.damage(path, about["sha256"]):
            return None
        arrays = load_file(path)
        return [encoded.read(batch, arrays, str(i)) for i, batch in enumerate(about["batches"])]


def _batches(streams: Sequence[TextStream], at: Place) -> Iterator[Batch]:
    """Group the documents from a place on into batches of about BATCH_CHARACTERS; the last of a stream may be empty."""
    for number in range(at.stream, len(streams)):
        stream, begun = streams[number], at if at.stream == number else Place(number)
        batch: list[tuple[int, str]] = []
        size, count, tally = 0, begun.documents, stream.tally
        for text in stream.after(begun.documents, begun.good, begun.bad, begun.first):
            batch.append((count, text))
            size, count = size + len(text), count + 1
            if size >= BATCH_CHARACTERS:
                here = Place(number, count, tally.good, tally.bad, tally.first)
                yield Batch(batch, here, here)
                batch, size = [], 0
        yield Batch(batch, Place(number, count, tally.good, tally.bad, tally.first), Place(number + 1))


def _ends_piece(count: int, batch: Batch) -> bool:
    """Whether a batch is the last one of its piece, which has `count` with it."""
    return count == BATCHES or batch.after.stream > batch.at.stream


def _groups(batches: Iterator[Batch]) -> Iterator[list[Batch]]:
    """Yield the batches of one piece at a time."""
    group: list[Batch] = []
    for batch in batches:
        group.append(batch)
        if _ends_piece(len(group), batch):
            yield group
            group = []


def _encoded(tokenizer: PlainTokenizer, recipe: Recipe, batch: Batch) -> Encoded:
    made = encoded.encode(tokenizer, recipe, batch.at.stream, batch.texts)
    return replace(made, at=asdict(batch.at), after=asdict(batch.after))


def _named(folder: Path, number: int, ending: str) -> Path:
    return folder / f"{number:06d}.{ending}"


def _store(folder: Path, number: int, made: Sequence[Encoded]) -> None:
    """Write a piece: its arrays, then its manifest."""
    path = _named(folder, number, "safetensors")
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, np.ndarray] = {}
    about = [encoded.write(batch, arrays, str(i)) for i, batch in enumerate(made)]
    with open(path, "wb") as handle:
        handle.write(save(arrays))
        handle.flush()
        os.fsync(handle.fileno())
    values = {"version": VERSION, "sha256": durable.digest(path), "batches": about}
    manifest.write(_named(folder, number, "json"), values)


class _Own:
    """The tokenizer of a process that makes pieces."""

    tokenizer: Any = None


def _begin(place: Path) -> None:
    """Set up a process that makes pieces: it ends with the process that started it, which handles signals."""
    launch.tie()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread for each of the processes
    for number in interrupt.SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    _Own.tokenizer = load(place)


def _make(folder: Path, number: int, recipe: Recipe, group: Sequence[Batch]) -> None:
    _store(folder, number, [_encoded(_Own.tokenizer, recipe, batch) for batch in group])
