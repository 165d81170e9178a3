"""Generated images: what is known about them is true by construction."""

import itertools
import math

import numpy as np
import pytest

from growbench.synthetic import shapes

SIZE = 16


def everywhere(kind: int, size: int) -> np.ndarray:
    """Return every pattern of a class, [N, size, size]: all places that can be drawn."""
    middle, play = size // 2, max(1, size // 8)
    center, radius = range(middle - play, middle + play), range(size // 4, size // 4 + max(2, size // 8))
    all_of = np.asarray(list(itertools.product(center, center, radius, range(4), range(4))))
    return shapes.patterns(np.full(len(all_of), kind), all_of, size)


@pytest.mark.parametrize("size", [shapes.SMALLEST, SIZE])
def test_no_two_classes_share_an_image(size: int) -> None:
    seen: dict[bytes, int] = {}
    for kind in range(shapes.MOST):
        for pattern in everywhere(kind, size):
            assert seen.setdefault(pattern.tobytes(), kind) == kind


def test_pixels_tell_the_pattern_and_so_the_class() -> None:
    low, middle, high = shapes.LEVELS
    pixels, labels = shapes.images(3, 0, 300, size=SIZE, classes=shapes.MOST, confused=0.0)
    level = np.digitize(pixels, [(low + middle) / 2, (middle + high) / 2])
    assert (level == level[..., :1]).all()  # the channels agree
    known = {pattern.tobytes(): kind for kind in range(shapes.MOST) for pattern in everywhere(kind, SIZE)}
    assert [
        known[one.astype(shapes.patterns(np.zeros(1, int), np.zeros((1, 5), int), 4).dtype).tobytes()]
        for one in level[..., 0]
    ] == labels.tolist()


def test_an_image_is_a_function_of_seed_and_number() -> None:
    how = {"size": 12, "classes": 5, "confused": 0.2}
    whole, of_whole = shapes.images(7, 0, 3000, **how)
    part, of_part = shapes.images(7, 1000, 1100, **how)
    assert np.array_equal(whole[1000:2100], part) and np.array_equal(of_whole[1000:2100], of_part)
    other, _ = shapes.images(8, 0, 10, **how)
    assert not np.array_equal(whole[:10], other)


def test_the_share_of_confused_labels_sets_the_best_accuracy_and_loss() -> None:
    _, clean = shapes.images(1, 0, 20_000, size=12, classes=5, confused=0.0)
    _, labels = shapes.images(1, 0, 20_000, size=12, classes=5, confused=0.3)
    right, loss = shapes.best(5, 0.3)
    assert (clean == labels).mean() == pytest.approx(right, abs=0.015)  # 5 standard errors
    chances = np.full((5, 5), 0.3 / 4) + np.eye(5) * (0.7 - 0.3 / 4)
    assert -np.log(chances[clean, labels]).mean() == pytest.approx(loss, abs=0.03)
    assert shapes.best(8, 0.0) == (1.0, 0.0) and shapes.best(2, 0.5)[1] == pytest.approx(math.log(2))
