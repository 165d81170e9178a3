"""Rows of text that hold none: a few cost their rows only, many mean that the wrong key is read."""

from dataclasses import dataclass
from typing import Any

from growbench.errors import GrowBenchError

FEW, SHARE = 10, 0.01  # fewer rows than FEW, or at most this share of all, may lack text


@dataclass
class Tally:
    """Counts of the rows of one reading of a stream.

    good: with text, or an empty one. bad: without. first: what is wrong with the first bad one.
    """

    good: int = 0
    bad: int = 0
    first: str = ""

    def start(self) -> None:
        """Begin a new reading."""
        self.set(0, 0, "")

    def set(self, good: int, bad: int, first: str) -> None:
        """Go on from what an earlier reading has counted."""
        self.good, self.bad, self.first = good, bad, first

    @property
    def rows(self) -> int:
        return self.good + self.bad

    def text(self, row: Any, key: str, place: str) -> str:
        """Count a row and return its text, "" if it has none. Raises GrowBenchError if the first rows have none.

        row: of a .jsonl file or a dataset. key: of its text. place: for the error message.
        """
        text = row.get(key) if isinstance(row, dict) else None
        if isinstance(text, str) and _encodable(text):
            self.good += 1
            return text.strip()
        keys = ", ".join(sorted(map(repr, row))[:20]) if isinstance(row, dict) else "none"
        self.first = self.first or f"{place}: no text under '{key}' (keys: {keys})"
        self.bad += 1
        if self.bad >= FEW and not self.good:
            self.check()
        return ""

    def check(self) -> None:
        """Raise GrowBenchError, naming the first bad row, if there are many."""
        if self.bad and (not self.good or (self.bad >= FEW and self.bad > SHARE * self.rows)):
            raise GrowBenchError(
                f"{self.first}, as in {self.bad} of {self.rows} rows; set corpus.text_key, or remove these rows"
            )


def _encodable(text: str) -> bool:
    """Return whether text is more than a list of code points: half of a surrogate pair is not text."""
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError:
        return False
    return True
