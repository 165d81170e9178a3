"""Generated images: one textured shape each, of a class that its pixels determine, with labels whose best score is known.

A class is a pair of a shape and a texture. The place, the size and the phase of the texture are drawn, and so are a shift of
each color channel and noise on every pixel. Both stay below half of the distance between the three levels (ground and the
two of the texture), so that no two classes share an image. Labels are then confused on purpose: a share of them becomes one
of the other classes. A perfect model therefore has an accuracy of 1 - share, and a loss of the entropy of a label given its
class; nothing has more accuracy or less loss (`best`).
"""

from collections.abc import Callable
from math import log

import numpy as np

VERSION = 1
LEVELS = (40, 128, 216)  # ground, and the two levels of a texture
SHIFT, NOISE = 12, 30  # together below half of the distance of two levels, 44
SMALLEST = 12  # pixels of a side
STREAM = 0x73686170  # keeps these random numbers apart from others of the same seed
BLOCK = 1024  # images that are drawn together
Grid = np.ndarray

SHAPES: dict[str, Callable[[Grid, Grid, Grid], Grid]] = {  # of offsets from the center and a radius, in pixels
    "disk": lambda y, x, r: y * y + x * x <= r * r,
    "square": lambda y, x, r: (abs(y) < 0.9 * r) & (abs(x) < 0.9 * r),
    "cross": lambda y, x, r: ((abs(y) < 0.4 * r) | (abs(x) < 0.4 * r)) & (abs(y) < r) & (abs(x) < r),
    "triangle": lambda y, x, r: (abs(y) < r) & (2 * abs(x) < y + r),
}
TEXTURES: dict[str, Callable[[Grid, Grid], Grid]] = {  # of row and column, shifted by the phase; which of two levels
    "rows": lambda y, x: y // 2 % 2,
    "columns": lambda y, x: x // 2 % 2,
    "checks": lambda y, x: (y // 2 + x // 2) % 2,
}
CLASSES = tuple(f"{texture} {shape}" for shape in SHAPES for texture in TEXTURES)
MOST = len(CLASSES)


def patterns(kinds: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    """Return the level of every pixel, 0 for the ground, [N, size, size].

    kinds: of the classes, [N]. places: row and column of the center, radius, and the texture's two phases, [N, 5].
    """
    rows, columns = np.arange(size)[None, :, None], np.arange(size)[None, None, :]
    y, x, radius, down, right = (places[:, i, None, None] for i in range(5))
    shape, texture = np.divmod(kinds, len(TEXTURES))
    inside = np.zeros((len(kinds), size, size), dtype=bool)
    level = np.zeros((len(kinds), size, size), dtype=np.uint8)
    for number, drawn in enumerate(SHAPES.values()):
        own = shape == number
        inside[own] = drawn(rows - y[own], columns - x[own], radius[own])
    for number, painted in enumerate(TEXTURES.values()):
        own = texture == number
        level[own] = 1 + np.broadcast_to(painted(rows + down[own], columns + right[own]), level[own].shape)
    return np.where(inside, level, 0)


def places(count: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return `count` places for `patterns`, [count, 5], all integers."""
    middle, play = size // 2, max(1, size // 8)
    center = rng.integers(middle - play, middle + play, (count, 2))
    radius = rng.integers(size // 4, size // 4 + max(2, size // 8), (count, 1))
    return np.concatenate([center, radius, rng.integers(0, 4, (count, 2))], axis=1)


def images(
    seed: int, first: int, count: int, *, size: int, classes: int, confused: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the images numbered `first` to `first + count - 1`, uint8 [count, size, size, 3], and their labels, [count].

    Each is a function of seed and number alone. classes: how many of CLASSES there are. confused: share of wrong labels.
    """
    made = [
        _block(seed, number, size, classes, confused) for number in range(first // BLOCK, -(-(first + count) // BLOCK))
    ]
    start = first % BLOCK
    pixels, labels = (np.concatenate(part)[start : start + count] for part in zip(*made, strict=True))
    return pixels, labels


def _block(seed: int, number: int, size: int, classes: int, confused: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([seed, STREAM, number])
    kinds = rng.integers(0, classes, BLOCK)
    clean = np.asarray(LEVELS, dtype=np.int16)[patterns(kinds, places(BLOCK, size, rng), size)][..., None]
    clean = clean + rng.integers(-SHIFT, SHIFT + 1, (BLOCK, 1, 1, 3), dtype=np.int16)
    clean = clean + rng.integers(-NOISE, NOISE + 1, (BLOCK, size, size, 3), dtype=np.int16)
    others = (kinds + rng.integers(1, classes, BLOCK)) % classes
    labels = np.where(rng.random(BLOCK) < confused, others, kinds)
    return clean.clip(0, 255).astype(np.uint8), labels.astype(np.int64)


def best(classes: int, confused: float) -> tuple[float, float]:
    """Return the accuracy and the loss (nats per image) of a perfect model."""
    right = 1 - confused
    loss = -right * log(right) - (confused * log(confused / (classes - 1)) if confused else 0.0)
    return right, loss
