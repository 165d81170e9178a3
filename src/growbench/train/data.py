"""Which tokens a step reads: a function of seed, stream and step alone."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

Stream = Literal["target", "source"]


class PackedSequences:
    """Packed sequences [CLS] + (length - 1) ids, visited in an order drawn anew each epoch from the seed.

    All methods read the `target` stream; the source reads the same order from its far end, so that its text is not
    read again by the target before the text runs out.
    """

    def __init__(self, ids: np.ndarray, length: int, cls_id: int, seed: int, stream: Stream = "target") -> None:
        self.ids, self.length, self.cls_id, self.seed, self.stream = ids, length, cls_id, seed, stream
        self.count = len(ids) // (length - 1)
        self._orders: dict[int, np.ndarray] = {}

    def _order(self, epoch: int) -> np.ndarray:
        if epoch not in self._orders:
            self._orders = {epoch: np.random.default_rng([self.seed, epoch]).permutation(self.count)}
        return self._orders[epoch]

    def batch(self, step: int, size: int) -> Tensor:
        """Return the ids [size, length] of one step."""
        rows = [self._window(i) for i in range(step * size, (step + 1) * size)]
        return self.fetch(rows)

    def _window(self, position: int) -> int:
        epoch, place = divmod(position, self.count)
        return int(self._order(epoch)[place if self.stream == "target" else self.count - 1 - place])

    def fetch(self, windows: list[int]) -> Tensor:
        """Return the ids [len(windows), length] of windows by number."""
        body = self.length - 1
        out = np.empty((len(windows), self.length), dtype=np.int64)
        out[:, 0] = self.cls_id
        for row, window in enumerate(windows):
            out[row, 1:] = self.ids[window * body : (window + 1) * body]
        return torch.from_numpy(out)
