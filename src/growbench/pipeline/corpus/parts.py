"""Which documents choose and which are reported: no document does both.

With test text, the validation text chooses and the test text is reported. Without it, the validation documents with an even
number choose, and those with an odd number are reported. The first document has number 0.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np

from growbench.errors import GrowBenchError
from growbench.study.study import Study

Purpose = Literal["trunk", "choose", "report"]
FEWEST = 20  # documents of a part: fewer say more about themselves than about a model


@dataclass(frozen=True, slots=True)
class Part:
    """The documents for a purpose.

    split: valid or test.
    half: the remainder of their numbers modulo 2; None for all of the split.
    """

    split: str
    half: int | None = None

    def holds(self, numbers: np.ndarray) -> np.ndarray:
        """Return whether the documents with these numbers are of this part, as booleans of the same shape."""
        return np.ones(numbers.shape, dtype=bool) if self.half is None else numbers % 2 == self.half

    def count(self, documents: int) -> int:
        """Return how many documents this part has. documents: of its split."""
        return documents if self.half is None else (documents + 1 - self.half) // 2

    def of(self, what: str) -> str:
        """Return the part in words. what: its documents are called."""
        return f"all {what}" if self.half is None else f"{what} with an {('even', 'odd')[self.half]} number"

    def __str__(self) -> str:
        return self.of("documents")


def of(purpose: Purpose, tested: bool) -> Part:
    """Return the part for a purpose. tested: whether the study has test text.

    trunk: what losses along the trunk are of. choose: what a search compares. report: what finished points are scored on.
    """
    if purpose == "trunk":
        return Part("valid")
    if tested:
        return Part("test" if purpose == "report" else "valid")
    return Part("valid", 1 if purpose == "report" else 0)


def windows(study: Study, purpose: Purpose) -> int:
    """Return how many windows are read for a purpose, at most."""
    return study.train.eval_sequences if purpose == "trunk" else study.train.final_sequences


def held_out(seed: int, stream: int, index: int, fraction: float) -> bool:
    """Return whether document `index` of stream `stream` is validation text.

    It is if a hash of the three numbers, uniform in [0, 1), is below `fraction`.
    """
    digest = hashlib.blake2b(f"{seed}/{stream}/{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") < fraction * 2**64


def needed(split: str, tested: bool) -> int:
    """Return the fewest documents that a split must have. tested: whether the study has test text."""
    return FEWEST if split == "test" or tested else 2 * FEWEST


def check(split: str, documents: int, tested: bool, remedy: str, what: str = "documents") -> None:
    """Raise GrowBenchError if a split has too few documents.

    documents: how many it has. remedy: what to do about it. what: they are called.
    """
    if documents < needed(split, tested):
        halves = "" if split == "test" or tested else f", {FEWEST} that choose and {FEWEST} that are reported"
        raise GrowBenchError(
            f"corpus.{split}: {documents} {what} are too few to tell models apart; at least "
            f"{needed(split, tested)} are needed{halves}; {remedy}"
        )
