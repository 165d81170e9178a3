"""The losses of a run's finished points by document, a CSV file beside its record: its columns, writing and reading.

The columns are `document` (its number in the validation or test text), `tokens` (how many of its tokens are predicted)
and, by the name of each finished point, the sum of their losses in nats. Only documents on which the point's loss is
reported are listed, so that sums of nats over sums of tokens are the losses of the record.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from growbench.errors import GrowBenchError
from growbench.records import beside

WHOLE = ("document", "tokens")
DIGITS = 7  # significant ones of a document's nats


@dataclass(frozen=True, kw_only=True, slots=True)
class Documents:
    """The losses of a run's finished points by document.

    numbers: of the documents in their text, rising, [documents].
    tokens: predicted ones of each document, at least 1, [documents].
    nats: the sums of their losses, [points, documents].
    points: names of the finished points.
    """

    numbers: np.ndarray
    tokens: np.ndarray
    nats: np.ndarray
    points: tuple[str, ...]

    @property
    def losses(self) -> np.ndarray:
        """The loss of each finished point, in nats per predicted token, [points]."""
        return np.asarray(self.nats.sum(axis=1) / self.tokens.sum())


def write(path: Path, numbers: Sequence[int], tokens: Sequence[int], nats: Mapping[str, Sequence[float]]) -> str:
    """Write the documents of a run, atomically, and return the file's SHA-256, which belongs into the run's record.

    numbers: of the documents, rising. tokens: predicted ones of each. nats: their sums, by the name of the point.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*WHOLE, *nats))
    shown = [[f"{value:.{DIGITS}g}" for value in values] for values in nats.values()]
    writer.writerows(zip(numbers, tokens, *shown, strict=True))
    return beside.write(path, text.getvalue())


def read(path: Path, sha256: str) -> Documents:
    """Return the documents of a run.

    Raises GrowBenchError if the file is missing, not a list of documents, or not the one of its record.

    sha256: of the file, as its record has it.
    """
    data = beside.read(path, sha256, "list of documents")
    try:
        head, *rows = csv.reader(io.StringIO(data.decode(), newline=""), strict=True)
        whole = np.array([[int(value) for value in row[:2]] for row in rows], dtype=np.int64).reshape(-1, 2)
        nats = np.array([[float(value) for value in row[2:]] for row in rows]).reshape(len(rows), -1 if rows else 0)
    except (ValueError, OverflowError, csv.Error) as error:
        raise GrowBenchError(f"{path}: not a complete CSV file of numbers; {beside.REMEDY}") from error
    if fault := _fault(head, whole, nats):
        raise GrowBenchError(f"{path}: {fault}; {beside.REMEDY}")
    return Documents(numbers=whole[:, 0], tokens=whole[:, 1], nats=nats.T, points=tuple(head[2:]))


def _fault(head: list[str], whole: np.ndarray, nats: np.ndarray) -> str:
    """Return in words what makes a table no list of documents; empty if nothing does."""
    if tuple(head[:2]) != WHOLE or len(head) < 3 or len(set(head)) < len(head):
        return "its columns are not document, tokens and one for each finished point"
    if not len(whole):
        return "it has no rows"
    if nats.shape[1] != len(head) - 2:
        return "its rows have another number of columns than its first line"
    if whole[0, 0] < 0 or (np.diff(whole[:, 0]) <= 0).any():
        return "column 'document' does not rise from row to row"
    if (whole[:, 1] < 1).any():
        return "column 'tokens' has a value below 1"
    for name, values in zip(head[2:], nats.T, strict=True):
        if not (np.isfinite(values).all() and (values >= 0).all()):
            return f"column '{name}' has a value that is not a number of at least 0"
    return ""
