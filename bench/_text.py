"""The text and the tokenizer that the benchmarks of training read."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from growbench.pipeline.corpus.files import read_file
from growbench.pipeline.corpus.tokenizer import SPECIAL, train


def text_ids(path: Path, tokenizer: Any, tokens: int) -> np.ndarray:
    """Return the first `tokens` ids of a text file's documents, each document followed by the sep id."""
    sep, ids = tokenizer.token_to_id(SPECIAL["sep"]), []
    for document in documents(path):
        ids += [*tokenizer.encode(document, add_special_tokens=False).ids, sep]
        if len(ids) >= tokens:
            return np.asarray(ids[:tokens], dtype=np.int64)
    raise SystemExit(f"bench: {path}: {len(ids)} tokens, but {tokens} are needed; give more text or fewer steps")


def documents(path: Path) -> Iterator[str]:
    """Return the documents of a text file, which blank lines separate."""
    return read_file(path, "blank_line", "text")


def vocabulary(path: Path, size: int, count: int = 4000) -> Any:
    """Return a WordPiece tokenizer trained on the first `count` documents of a text file."""
    return train("wordpiece", islice(documents(path), count), size, True)
