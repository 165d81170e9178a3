"""Tokenise documents into flat id files: streaming, in parallel threads, with hashes and counts on the way."""

import hashlib
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus.sources import Part

log = logging.getLogger(__name__)
BATCH_CHARACTERS = 2_000_000
REPORT_SECONDS = 10.0


def dtype_of(vocab: int) -> np.dtype:
    """The smallest unsigned type that holds every id of a vocabulary, of at least 16 bits."""
    return np.dtype("uint16" if vocab <= 2**16 else "uint32")


def held_out(seed: int, part: int, index: int, fraction: float) -> bool:
    """Whether document `index` of part `part` is validation text: a hash of the three numbers, uniform in [0, 1)."""
    digest = hashlib.blake2b(f"{seed}/{part}/{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") < fraction * 2**64


@dataclass
class Writer:
    """Append documents, each followed by the sep id, to a flat file of at most `limit` ids."""

    path: Path
    vocab: int
    sep: int
    limit: int | None = None
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

    def add(self, documents: list[list[int]]) -> None:
        """Write token ids; the document that crosses the limit is cut there."""
        flat: list[int] = []
        room = None if self.limit is None else self.limit - self.tokens
        for ids in documents:
            if room is not None and len(flat) >= room:
                break
            if ids:
                flat += ids
                flat.append(self.sep)
                self.documents += 1
        numbers = np.asarray(flat[:room], dtype=np.int64)
        if len(numbers) and numbers.max() >= self.vocab:
            raise GrowBenchError(
                f"corpus.tokenizer: it gives id {numbers.max()}, but has {self.vocab} tokens; use one whose ids have no gaps"
            )
        block = numbers.astype(self.dtype)
        self.counts += np.bincount(block, minlength=self.vocab)
        self.tokens += len(block)
        data = block.tobytes()
        self.hash.update(data)
        self.handle.write(data)

    def close(self) -> dict[str, Any]:
        """Flush to disk; return the manifest's entry."""
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
    tokenizer: Tokenizer, parts: tuple[Part, ...], train: Writer, valid: Writer | None, seed: int, fraction: float
) -> None:
    """Tokenise all parts in order into train, until it is full; held-out documents go to valid if there is one."""
    began = reported = time.monotonic()
    for number, part in enumerate(parts):
        for batch in _batches(part.read()):
            encodings = tokenizer.encode_batch_fast([text for _, text in batch], add_special_tokens=False)
            kept: list[list[int]] = []
            out: list[list[int]] = []
            for (index, _), encoding in zip(batch, encodings, strict=True):
                aside = valid is not None and held_out(seed, number, index, fraction)
                (out if aside else kept).append(encoding.ids)
            train.add(kept)
            if valid is not None:
                valid.add(out)
            if time.monotonic() - reported > REPORT_SECONDS:
                reported = time.monotonic()
                _report(train, number, len(parts), reported - began)
            if train.full:
                return


def _batches(documents: Iterator[str]) -> Iterator[list[tuple[int, str]]]:
    """Group numbered documents to about BATCH_CHARACTERS, which bounds memory and keeps all threads busy."""
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


def _report(writer: Writer, part: int, parts: int, seconds: float) -> None:
    share = part / parts if writer.limit is None else max(part / parts, writer.tokens / writer.limit)
    left = f", about {seconds * (1 / share - 1):.0f} s left" if share > 0 else ""
    log.info(
        "%s: part %d of %d, %.1f M tokens, %.2f M tokens/s%s",
        writer.path.name, part + 1, parts, writer.tokens / 1e6, writer.tokens / 1e6 / seconds, left,
    )  # fmt: skip


def unigram_entropy(train: np.ndarray, valid: np.ndarray, sep: int) -> float:
    """Cross-entropy in nats per token of valid under the add-one-smoothed distribution of train, sep left out.

    train, valid: counts per id, [vocab].
    """
    train, valid = np.delete(train, sep), np.delete(valid, sep)
    log_p = np.log((train + 1) / (train.sum() + len(train)))
    return float(-(valid * log_p).sum() / valid.sum())
