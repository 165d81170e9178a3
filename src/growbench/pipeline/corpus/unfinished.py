"""The folder in which a corpus is made: kept after an interruption, so that the same command goes on with its pieces."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus.plain import PlainTokenizer, load
from growbench.records import identity, manifest

FILE = "begun.json"
PIECES = "pieces"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A corpus that is being made.

    folder: beside the corpus. begun: digest of all that the corpus is made from. tokenizer: folder of the tokenizer in it.
    """

    folder: Path
    begun: str
    tokenizer: Path

    def open(self) -> None:
        """Make the folder. What an interrupted job left is kept if it was making the same corpus."""
        if self.special() is None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)

    def special(self) -> dict[str, Any] | None:
        """Return the special ids of the tokenizer that is already here; None if there is none for this corpus."""
        try:
            found = manifest.read(self.folder / FILE, VERSION, "")
        except (GrowBenchError, OSError):
            return None
        same = found["begun"] == self.begun and all(
            manifest.damage(self.tokenizer / name, sha256) is None for name, sha256 in found["tokenizer"].items()
        )
        return dict(found["special"]) if same else None

    def sign(self, special: dict[str, Any], files: dict[str, str]) -> None:
        """Note that the tokenizer is complete. special: its special ids. files: their digests."""
        values = {"version": VERSION, "begun": self.begun, "special": special, "tokenizer": files}
        manifest.write(self.folder / FILE, values)

    def loaded(self) -> PlainTokenizer:
        """Return the tokenizer."""
        return load(self.tokenizer)

    def pieces(self, split: str) -> Path:
        """Return the folder of the pieces of a text: train, valid or test."""
        return self.folder / PIECES / split

    def stop(self) -> None:
        """After an error: remove the folder unless a piece is worth keeping."""
        if not any(self.folder.glob(f"{PIECES}/*/*.json")):
            shutil.rmtree(self.folder, ignore_errors=True)

    def clear(self) -> None:
        """Remove what is not part of the corpus."""
        shutil.rmtree(self.folder / PIECES, ignore_errors=True)
        (self.folder / FILE).unlink(missing_ok=True)


def digest(inputs: dict[str, Any], revisions: list[str | None]) -> str:
    """Return the digest of what a corpus is made from. revisions: of the datasets of the hub that it reads."""
    return identity.digest({"inputs": inputs, "revisions": revisions})
