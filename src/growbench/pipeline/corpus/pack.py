"""Tokenized documents as flat id files: streamed, hashed and counted while they are written."""

import hashlib
import logging
import os
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from growbench.pipeline.corpus.encoded import Recipe, Side, dtype_of
from growbench.pipeline.corpus.held_out import Keeper
from growbench.pipeline.corpus.pieces import Pieces
from growbench.pipeline.corpus.text_source import TextStream

log = logging.getLogger(__name__)
REPORT_SECONDS = 10.0


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

    def add(self, side: Side) -> None:
        """Write documents; the one that crosses the limit is cut there."""
        room = None if self.limit is None else self.limit - self.tokens
        taken = len(side.lengths)
        if room is not None:
            taken = int(np.count_nonzero(np.cumsum(side.lengths) - side.lengths < room))
        if self.keeper is not None:
            for number, text in enumerate(side.texts[:taken], self.documents):
                self.keeper.add(number, text)
        self.documents += taken
        block = side.ids[:room]
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
    pieces: Pieces, streams: Sequence[TextStream], train: Writer, valid: Writer | None, seed: int, fraction: float
) -> None:
    """Tokenize all streams in order into `train` until it is full.

    If there is `valid`, a share `fraction` of the documents, chosen by `seed`, goes there instead.
    """
    progress = Progress(train, streams)
    writers = {"train": train} if valid is None else {"train": train, "valid": valid}
    keep = next((name for name, writer in writers.items() if writer.keeper is not None), None)
    recipe = Recipe(
        vocab=train.vocab, sep=train.sep, seed=seed, fraction=None if valid is None else fraction, keep=keep
    )
    tallies = {}
    for batch in (reading := pieces.encode(streams, recipe)):
        for name, writer in writers.items():
            writer.add(batch.sides[name])
        tallies[batch.stream] = batch.at
        progress.add(batch.stream, batch.characters)
        if train.full:
            break
    reading.close()
    for number, at in tallies.items():  # what was read ahead does not count
        streams[number].tally.set(at["good"], at["bad"], at["first"])


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
