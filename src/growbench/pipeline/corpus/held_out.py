"""Held-out text as it was before it became tokens, for what is made from words: a file of the corpus, one document a line.

It holds the documents on which losses are reported. No model depends on it, so the digest of a corpus leaves it out.
"""

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError
from growbench.records import manifest

FILE = "held_out.jsonl"
KEY = "held_out"  # in the manifest
VERSION = 1
MOST = 16_000_000  # characters
REMEDY = "run `growbench corpus --config FILE` again"


@dataclass
class Keeper:
    """Writes the documents that are reported, up to MOST characters, in order.

    path: the file. half: the remainder modulo 2 of the numbers of documents that are kept, None for all (parts.Part.half).
    documents, characters: how many have been written.
    """

    path: Path
    half: int | None = None
    documents: int = 0
    characters: int = 0
    hash: Any = field(default_factory=hashlib.sha256)

    def __post_init__(self) -> None:
        self.handle = open(self.path, "wb")

    def add(self, number: int, text: str) -> None:
        """Take the document of this number, counted from 0 over those that have tokens."""
        if self.characters >= MOST or self.half not in (None, number % 2):
            return
        line = json.dumps(text).encode() + b"\n"
        self.hash.update(line)
        self.handle.write(line)
        self.documents += 1
        self.characters += len(text)

    def close(self) -> dict[str, Any]:
        """Flush the file to disk; return its entry in the manifest."""
        self.handle.flush()
        os.fsync(self.handle.fileno())
        self.handle.close()
        return {"file": self.path.name, "documents": self.documents, "sha256": self.hash.hexdigest()}


def sha256(folder: Path, values: dict[str, Any]) -> str:
    """Return the SHA-256 of a corpus' held-out text. Raises GrowBenchError, naming the file, if the corpus has none.

    values: of the manifest.
    """
    if KEY not in values:
        raise GrowBenchError(f"{folder / FILE}: this corpus was made without held-out text; {REMEDY}")
    return str(values[KEY]["sha256"])


def check(folder: Path, values: dict[str, Any]) -> Path:
    """Return the path of the file. Raises GrowBenchError, naming it, if it is missing or not the manifest's."""
    wanted, path = sha256(folder, values), Path(folder) / FILE
    if found := manifest.damage(path, wanted):
        raise GrowBenchError(f"{path}: {found}; {REMEDY}")
    return path


def read(folder: Path, values: dict[str, Any]) -> list[str]:
    """Return the documents. Raises GrowBenchError, naming the file, if it is missing or not the manifest's."""
    return [json.loads(line) for line in check(folder, values).read_text(encoding="utf-8").splitlines()]
