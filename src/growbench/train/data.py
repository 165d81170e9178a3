"""Packed training text: which tokens a step reads is a function of seed, stream and step alone."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from growbench.errors import GrowBenchError

Stream = Literal["target", "source"]


class PackedSequences:
    """Sequences of [CLS] and length - 1 ids, read in an order that the seed and the epoch determine.

    All methods read the `target` stream. The source reads the same order from its end, so that the target does not
    read the source's text again before the text runs out.

    ids: the whole text.
    length: ids of one sequence, [CLS] included.
    cls_id: id of [CLS].
    seed: of the order.
    stream: from which end the order is read.
    count: sequences in the text.

    Raises GrowBenchError if the text is shorter than one sequence.
    """

    def __init__(self, ids: np.ndarray, length: int, cls_id: int, seed: int, stream: Stream = "target") -> None:
        self.ids, self.length, self.cls_id, self.seed, self.stream = ids, length, cls_id, seed, stream
        self.count = len(ids) // (length - 1)
        if self.count < 1:
            raise GrowBenchError(
                f"objective.length: {len(ids)} tokens of text are shorter than one sequence of {length}; give more text or "
                "use a shorter length"
            )
        self._orders: dict[int, np.ndarray] = {}

    def _order(self, epoch: int) -> np.ndarray:
        if epoch not in self._orders:
            self._orders = {epoch: np.random.default_rng([self.seed, epoch]).permutation(self.count)}
        return self._orders[epoch]

    def batch(self, step: int, size: int) -> Tensor:
        """Return the ids [size, length] of one step."""
        return self.fetch([self._sequence(i) for i in range(step * size, (step + 1) * size)])

    def _sequence(self, position: int) -> int:
        epoch, place = divmod(position, self.count)
        return int(self._order(epoch)[place if self.stream == "target" else self.count - 1 - place])

    def fetch(self, numbers: list[int]) -> Tensor:
        """Return the ids [len(numbers), length] of sequences by number."""
        body = self.length - 1
        out = np.empty((len(numbers), self.length), dtype=np.int64)
        out[:, 0] = self.cls_id
        for row, number in enumerate(numbers):
            out[row, 1:] = self.ids[number * body : (number + 1) * body]
        return torch.from_numpy(out)
