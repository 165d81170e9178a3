"""One batch of documents as ids, and the same as arrays in a file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus.parts import held_out
from growbench.pipeline.corpus.plain import PlainTokenizer

SIDES = ("train", "valid")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How documents become ids.

    vocab: size of the vocabulary. sep: the id after each document.
    fraction: share of the documents, chosen by `seed`, that is held out for validation; None for no such side.
    keep: the side whose texts are kept beside their ids; None for neither.
    """

    vocab: int
    sep: int
    seed: int = 0
    fraction: float | None = None
    keep: str | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """Documents of a batch that go to the same file.

    ids: each document's tokens followed by the sep id, [tokens]. lengths: of the documents, sep included, [documents]. Documents
    without a token are left out. texts: of the documents, if they are kept.
    """

    ids: np.ndarray
    lengths: np.ndarray
    texts: list[str]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One batch. stream: its number. characters: of its text. at, after: see pieces.Batch."""

    stream: int
    characters: int
    sides: dict[str, Side]
    at: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)


def dtype_of(vocab: int) -> np.dtype:
    """Return the smallest unsigned type of at least 16 bits that holds every id of a vocabulary."""
    return np.dtype("uint16" if vocab <= 2**16 else "uint32")


def encode(tokenizer: PlainTokenizer, recipe: Recipe, stream: int, numbered: Sequence[tuple[int, str]]) -> Encoded:
    """Tokenize numbered documents of a stream. Raises GrowBenchError if the tokenizer gives an id outside the vocabulary."""
    texts = [text for _, text in numbered]
    documents = tokenizer.documents(texts)
    share = recipe.fraction
    aside = [share is not None and held_out(recipe.seed, stream, index, share) for index, _ in numbered]
    sides = {}
    for name, wanted in zip(SIDES, (False, True), strict=True):
        chosen = [i for i, out in enumerate(aside) if out == wanted and documents[i]]
        kept = [texts[i] for i in chosen] if recipe.keep == name else []
        sides[name] = side([documents[i] for i in chosen], kept, recipe)
    return Encoded(stream, sum(map(len, texts)), sides)


def side(documents: Sequence[list[int]], texts: list[str], recipe: Recipe) -> Side:
    """Return documents, none of them empty, as one array."""
    end = (recipe.sep,)
    lengths = np.array([len(ids) + 1 for ids in documents], dtype=np.int64)
    flat = chain.from_iterable(part for ids in documents for part in (ids, end))
    numbers = np.fromiter(flat, dtype=np.int64, count=int(lengths.sum()))
    if len(numbers) and numbers.max() >= recipe.vocab:
        raise GrowBenchError(
            f"corpus.tokenizer: it gives id {numbers.max()}, but has only {recipe.vocab} tokens; use one without gaps in its ids"
        )
    return Side(numbers.astype(dtype_of(recipe.vocab).newbyteorder("<")), lengths, texts)


def write(batch: Encoded, arrays: dict[str, np.ndarray], name: str) -> dict[str, Any]:
    """Add the arrays of a batch under a name; return the rest of it as JSON-able values."""
    for key, one in batch.sides.items():
        arrays[f"{name}-{key}"], arrays[f"{name}-{key}-lengths"] = one.ids, one.lengths.astype(np.uint32)
        if one.texts:
            arrays[f"{name}-{key}-texts"] = np.frombuffer(json.dumps(one.texts).encode(), dtype=np.uint8)
    return {"stream": batch.stream, "characters": batch.characters, "at": batch.at, "after": batch.after}


def read(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray], name: str) -> Encoded:
    """Return the batch that write() wrote under a name."""
    sides = {}
    for key in SIDES:
        texts = f"{name}-{key}-texts"
        kept = json.loads(arrays[texts].tobytes()) if texts in arrays else []
        sides[key] = Side(arrays[f"{name}-{key}"], arrays[f"{name}-{key}-lengths"].astype(np.int64), kept)
    return Encoded(about["stream"], about["characters"], sides, about["at"], about["after"])
