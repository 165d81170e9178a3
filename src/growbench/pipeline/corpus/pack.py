"""Tokenize documents into flat id files: streamed, in parallel threads, hashed and counted while they are written."""

import hashlib
import logging
import os
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus.held_out import Keeper
from growbench.pipeline.corpus.parts import held_out
from growbench.pipeline.corpus.plain import PlainTokenizer
from growbench.pipeline.corpus.text_source import TextStream

log = logging.getLogger(__name__)
BATCH_CHARACTERS = 2_000_000
REPORT_SECONDS = 10.0


def dtype_of(vocab: int) -> np.dtype:
    """Return the smallest unsigned type of at least 16 bits that holds every id of a vocabulary."""
    return np.dtype("uint16" if vocab <= 2**16 else "uint32")


@dataclass
class Writer:
    """Appends documents, each followed by the sep id, to a flat file.

    path: the file. vocab: size of the vocabulary. sep: the id after each document.
    limit: the largest number of ids in the file, None for no limit.
    keeper: takes the text of the documents as well, if there is one.
    tokens, documents: how many have been written.
    counts: how often each id has been written, [vocab].
    """

    path: Path
    vocab: int
    sep: int
    limit: int | None = None
    keeper: Keeper | None = None
    tokens: int = 0
    documents: int = 0
    counts: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros(self.vocab, dtype=np.int64)
        self.hash = hashlib.sha256()
        self.handle = open(self.path, "wb")
        self.dtype = dtype_of(self.vocab).newbyteorder("<")

    @property
    def full(self) -> bool:
        return self.limit is not None and self.tokens >= self.limit

    def add(self, documents: list[list[int]], texts: list[str]) -> None:
        """Write the token ids of texts; the document that crosses the limit is cut there."""
        flat: list[int] = []
        room = None if self.limit is None else self.limit - self.tokens
        for ids, text in zip(documents, texts, strict=True):
            if room is not None and len(flat) >= room:
                break
            if ids:
                flat += ids
                flat.append(self.sep)
                if self.keeper is not None:
                    self.keeper.add(self.documents, text)
                self.documents += 1
        numbers = np.asarray(flat[:room], dtype=np.int64)
        if len(numbers) and numbers.max() >= self.vocab:
            raise GrowBenchError(
                f"corpus.tokenizer: it gives id {numbers.max()}, but has only {self.vocab} tokens; use one without gaps in its ids"
            )
        block = numbers.astype(self.dtype)
        self.counts += np.bincount(block, minlength=self.vocab)
        self.tokens += len(block)
        data = block.tobytes()
        self.hash.update(data)
        self.handle.write(data)

    def close(self) -> dict[str, Any]:
        """Flush the file to disk; return its entry in the manifest."""
        self.handle.flush()
        os.fsync(self.handle.fileno())
        self.handle.close()
        return {
            "file": self.path.name,
            "tokens": self.tokens,
            "documents": self.documents,
            "sha256": self.hash.hexdigest(),
        }


def pack(
    tokenizer: PlainTokenizer,
    streams: Sequence[TextStream],
    train: Writer,
    valid: Writer | None,
    seed: int,
    fraction: float,
) -> None:
    """Tokenize all streams in order into `train` until it is full.

    If there is `valid`, a share `fraction` of the documents, chosen by `seed`, goes there instead.
    """
    progress = Progress(train, streams)
    for number, stream in enumerate(streams):
        for batch in _batches(stream.read()):
            documents = tokenizer.documents([text for _, text in batch])
            aside = [valid is not None and held_out(seed, number, index, fraction) for index, _ in batch]
            for writer, wanted in ((train, False), (valid, True)):
                if writer is not None:
                    chosen = [place for place, out in enumerate(aside) if out == wanted]
                    writer.add([documents[i] for i in chosen], [batch[i][1] for i in chosen])
            progress.add(number, sum(len(text) for _, text in batch))
            if train.full:
                return


def _batches(documents: Iterator[str]) -> Iterator[list[tuple[int, str]]]:
    """Group numbered documents into batches of about BATCH_CHARACTERS: bounded memory, and work for all threads."""
    batch: list[tuple[int, str]] = []
    size = 0
    for index, text in enumerate(documents):
        batch.append((index, text))
        size += len(text)
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class Progress:
    """Logs every REPORT_SECONDS how far one pack() is, and about how long it will still take."""

    def __init__(self, writer: Writer, streams: Sequence[TextStream]) -> None:
        self.writer, self.streams = writer, streams
        self.began = self.reported = time.monotonic()
        sizes = [stream.characters for stream in streams]
        self.expected = None if None in sizes else sum(size or 0 for size in sizes)
        self.characters = 0

    def add(self, number: int, characters: int) -> None:
        """Count the characters of a batch of stream `number`."""
        self.characters += characters
        if time.monotonic() - self.reported > REPORT_SECONDS:
            self.reported = time.monotonic()
            log.info("%s", self.line(number, self.reported - self.began))

    def share(self, number: int) -> float:
        """Return about what share of the work is done, 0 if unknown: the largest of all that can be told."""
        by_streams, limit = number / len(self.streams), self.writer.limit
        by_text = min(self.characters / self.expected, 0.99) if self.expected else 0.0
        return max(by_streams, by_text, self.writer.tokens / limit if limit else 0.0)

    def line(self, number: int, seconds: float) -> str:
        """Return the message after this time."""
        share, tokens = self.share(number), self.writer.tokens / 1e6
        left = f", about {seconds * (1 / share - 1):.0f} s left" if share > 0 else ""
        stream = f"{self.streams[number].name} ({number + 1} of {len(self.streams)})"
        return (
            f"{self.writer.path.name}: {tokens:.1f} M tokens, {tokens / seconds:.2f} M tokens/s, reading {stream}{left}"
        )


def unigram_entropy(train: np.ndarray, scored: np.ndarray, never: Collection[int]) -> float:
    """Return the cross-entropy of `scored` under the add-one-smoothed distribution of `train`, in nats per token.

    train, scored: counts per id, [vocab]. never: ids that are not predicted, which count in neither.
    """
    train, scored = (np.delete(counts, sorted(never)) for counts in (train, scored))
    log_p = np.log((train + 1) / (train.sum() + len(train)))
    return float(-(scored * log_p).sum() / max(scored.sum(), 1))
