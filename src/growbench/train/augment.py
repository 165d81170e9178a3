"""Random changes of a batch of training images, all images at once: a function of seed and step alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from growbench.errors import GrowBenchError

Batch = np.ndarray  # uint8 [B, H, W, C]
GROUPS = 8  # of a batch, each of which gets its own random operations


@dataclass(frozen=True, slots=True)
class Augment:
    """How training images are changed.

    pad: pixels of black around an image, of which a random window of its size is read.
    flip: whether half of the images are mirrored, left to right.
    operations, magnitude: of RandAugment (Cubuk et al., 2020); no operations leave it out.

    Raises GrowBenchError if operations are wanted and torchvision is not installed.
    """

    pad: int = 0
    flip: bool = False
    operations: int = 0
    magnitude: int = 9

    def __post_init__(self) -> None:
        if self.operations:
            _torchvision()

    def apply(self, images: Batch, seed: int, step: int) -> Batch:
        """Return the images of one step, changed."""
        rng = np.random.default_rng([seed, step])
        if self.pad:
            images = cropped(images, self.pad, rng)
        if self.flip:
            images = flipped(images, rng)
        if self.operations:
            images = self._operated(images, int(rng.integers(2**62)))
        return images

    def _operated(self, images: Batch, seed: int) -> Batch:
        """Return the images after RandAugment, which draws its operations once for each of GROUPS parts of the batch."""
        change = _torchvision().RandAugment(self.operations, self.magnitude)
        pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            parts = [change(part) for part in pixels.chunk(GROUPS)]
        return torch.cat(parts).permute(0, 2, 3, 1).numpy()


def cropped(images: Batch, pad: int, rng: np.random.Generator) -> Batch:
    """Return a random window of each image, of its own size, out of the image with a black border of `pad` pixels."""
    count, height, width, _ = images.shape
    framed = np.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    down, right = rng.integers(0, 2 * pad + 1, (2, count))
    windows = np.lib.stride_tricks.sliding_window_view(framed, (height, width), axis=(1, 2))
    return windows[np.arange(count), down, right].transpose(0, 2, 3, 1)


def flipped(images: Batch, rng: np.random.Generator) -> Batch:
    """Return the images, each mirrored with a chance of one half."""
    mirrored = rng.random(len(images)) < 0.5
    return np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)


def _torchvision() -> Any:
    try:
        from torchvision.transforms import v2
    except ImportError as error:
        raise GrowBenchError(
            "images.randaugment: needs torchvision, which is not installed; install it, or use null"
        ) from error
    except Exception as error:  # a build for another torch
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise GrowBenchError(
            f"images.randaugment: torchvision cannot be imported ({reason}); install the build for torch {torch.__version__}, "
            "or use null"
        ) from error
    return v2
