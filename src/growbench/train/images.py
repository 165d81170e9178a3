"""Images and their classes in the place of text: what a step reads is a function of seed, stream and step alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from growbench.errors import GrowBenchError
from growbench.train.augment import Augment
from growbench.train.data import Stream
from growbench.train.objective import Batch
from growbench.train.windows import Windows, spaced

SIZE = 64  # images of a validation batch


@dataclass(frozen=True, slots=True)
class Images:
    """Decoded images of one split.

    pixels: uint8 [N, H, W, C], often memory-mapped.
    labels: numbers of their classes, [N].
    """

    pixels: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Scaling:
    """How pixels become a model's inputs: (value / 255 - mean) / std, for each channel [C]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def inputs(self, pixels: np.ndarray) -> Tensor:
        """Return float32 [B, C, H, W] of uint8 [B, H, W, C]."""
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.mean, self.std))
        planes = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
        return planes.float().sub_(255 * mean).mul_(1 / (255 * std))


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageBatches:
    """The batches of a run on images, which are read in an order that the seed and the epoch determine.

    As with text, the source reads the same order from its end.

    images: of the training split. scaling: how pixels become inputs. augment: how they are changed.
    size: images per batch. seed: of the run. stream: from which end the order is read.
    """

    images: Images
    scaling: Scaling
    augment: Augment
    size: int
    seed: int
    stream: Stream = "target"
    _orders: dict[int, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not len(self.images):
            raise GrowBenchError("corpus.train: no images; name a folder or a file that has some")

    def of(self, step: int, cut: int = 1) -> Batch:
        """Return the batch of one step. Images are not cut."""
        rows = self.numbers(np.arange(step * self.size, (step + 1) * self.size))
        pixels = self.augment.apply(self.images.pixels[rows], self.seed, step)
        return batch(self.scaling.inputs(pixels), self.images.labels[rows])

    def numbers(self, places: np.ndarray) -> np.ndarray:
        """Return the numbers of the images that are read at these places of the endless order, [places]."""
        epochs, within = np.divmod(places, len(self.images))
        if self.stream == "source":
            within = len(self.images) - 1 - within
        found = np.empty_like(places)
        for epoch in np.unique(epochs):
            own = epochs == epoch
            found[own] = self._order(int(epoch))[within[own]]
        return found

    def _order(self, epoch: int) -> np.ndarray:
        if epoch not in self._orders:
            if len(self._orders) > 1:  # a batch may lie in two epochs
                self._orders.clear()
            self._orders[epoch] = np.random.default_rng([self.seed, epoch]).permutation(len(self.images))
        return self._orders[epoch]


def batch(inputs: Tensor, labels: np.ndarray) -> Batch:
    """Return the batch of images [B, C, H, W] of these classes [B]: the model predicts at one position of each."""
    return Batch(inputs, torch.arange(len(labels)), torch.from_numpy(labels.astype(np.int64)))


@dataclass(frozen=True, slots=True)
class ImageGroups(Sequence[Batch]):
    """The batches of validation images, made when they are asked for: together they may not fit into memory.

    groups: numbers of the images of each batch.
    """

    images: Images
    scaling: Scaling
    groups: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.groups)

    def __getitem__(self, place: Any) -> Any:
        rows = self.groups[place]
        return batch(self.scaling.inputs(self.images.pixels[rows]), self.images.labels[rows])


def windows(images: Images, scaling: Scaling, numbers: np.ndarray, most: int) -> Windows:
    """Return at most `most` of the images with these numbers, evenly spaced, unchanged; each is a document of one token."""
    chosen = numbers[spaced(len(numbers), most)] if len(numbers) else numbers
    starts = range(0, len(chosen), SIZE)
    groups = [chosen[first : first + SIZE] for first in starts]
    places = [np.arange(first, first + len(group)) for first, group in zip(starts, groups, strict=True)]
    ones = np.ones(len(chosen), dtype=np.int64)
    return Windows(ImageGroups(images, scaling, groups), places, chosen, ones, len(chosen))
