"""The text and the tokenizer that the benchmarks of training read."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from growbench.pipeline.corpus.files import read_file
from growbench.pipeline.corpus.tokenizer import SPECIAL, train


def text_ids(path: Path, tokenizer: Any, tokens: int) -> np.ndarray:
    """The first `tokens` ids of a text file's documents, each followed by the sep id."""
    sep, ids = tokenizer.token_to_id(SPECIAL["sep"]), []
    for document in documents(path):
        ids += [*tokenizer.encode(document, add_special_tokens=False).ids, sep]
        if len(ids) >= tokens:
            return np.asarray(ids[:tokens], dtype=np.int64)
    raise SystemExit(f"bench: {path}: {len(ids)} tokens, fewer than the {tokens} wanted; give more text or fewer steps")


def documents(path: Path) -> Iterator[str]:
    """The documents of a text file, blank lines between them."""
    return read_file(path, "blank_line", "text")


def vocabulary(path: Path, size: int, count: int = 4000) -> Any:
    """A WordPiece tokenizer of the first documents of a text file."""
    return train("wordpiece", islice(documents(path), count), size, True)
