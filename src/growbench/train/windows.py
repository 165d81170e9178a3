"""Windows of text on which models are validated: which tokens are predicted, and to which document each belongs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from growbench.train.data import PackedSequences
from growbench.train.objective import Batch, Objective

SEED, SIZE = 7_654_321, 32  # of the masks; windows of a batch


@dataclass(frozen=True, slots=True)
class Windows:
    """Validation windows, in batches.

    batches: what is read and predicted.
    places: for each batch, the place in `numbers` of the document of each predicted token, [P].
    numbers: of the documents, rising, [documents].
    tokens: predicted ones of each document, at least 1, [documents].
    count: of windows.
    """

    batches: Sequence[Batch]
    places: list[np.ndarray]
    numbers: np.ndarray
    tokens: np.ndarray
    count: int

    def loss(self, nats: np.ndarray) -> float:
        """Return the loss in nats per predicted token. nats: of each document, [documents]."""
        return float(nats.sum() / self.tokens.sum())


def spaced(count: int, most: int) -> np.ndarray:
    """Return at most `most` of the numbers 0 to count - 1, evenly spaced, rising, without repeats."""
    return np.round(np.linspace(0, count - 1, min(most, count))).astype(np.int64)


def windows(
    sequences: PackedSequences, objective: Objective, documents: np.ndarray, wanted: np.ndarray, most: int
) -> Windows:
    """Return at most `most` evenly spaced windows out of those that hold a wanted token; only wanted ones are predicted.

    They are the same for every model, and so are the masks.

    documents: number of the document of each token of the text, [tokens]. wanted: whether each token may be predicted, [tokens].
    """
    body = sequences.length - 1
    able = wanted & objective.ordinary(torch.from_numpy(sequences.ids.astype(np.int64))).numpy()
    rows = np.flatnonzero(able[: sequences.count * body].reshape(-1, body).any(axis=1))
    chosen = rows[spaced(len(rows), most)]
    batches: list[Batch] = []
    owners = []
    for number, first in enumerate(range(0, len(chosen), SIZE)):
        group = chosen[first : first + SIZE]
        batch = objective.batch(sequences.fetch(group.tolist()), SEED, number)
        row, column = np.divmod(batch.positions.numpy(), sequences.length)
        token = group[row] * body + column - 1 + objective.ahead
        kept = wanted[token]
        batches.append(Batch(batch.inputs, batch.positions[kept], batch.labels[kept]))
        owners.append(documents[token[kept]])
    numbers, places = np.unique(np.concatenate([np.zeros(0, np.int64), *owners]), return_inverse=True)
    split = np.split(places, np.cumsum([len(own) for own in owners])[:-1])
    return Windows(batches, split, numbers, np.bincount(places, minlength=len(numbers)), len(chosen))
