"""Batches of images: a function of seed and step alone, each image once per epoch, changed as asked and in no other way."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from growbench.errors import GrowBenchError
from growbench.train.augment import GROUPS, Augment, cropped, flipped
from growbench.train.images import ImageBatches, Images, Scaling, windows
from growbench.train.objective import Batch

RNG = np.random.default_rng(0)
IMAGES = Images(RNG.integers(0, 256, (10, 6, 6, 3), dtype=np.uint8), np.arange(10) % 4)
PLAIN = Scaling((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255))  # inputs are the values themselves


def batches(**changes) -> ImageBatches:
    how = {"images": IMAGES, "scaling": PLAIN, "augment": Augment(), "size": 4, "seed": 1}
    return ImageBatches(**{**how, **changes})


def test_inputs_are_standardized_by_channel() -> None:
    scaling = Scaling((0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    found = scaling.inputs(IMAGES.pixels)
    wanted = (IMAGES.pixels / 255 - np.array(scaling.mean)) / np.array(scaling.std)
    assert found.shape == (10, 3, 6, 6) and found.dtype == torch.float32
    assert np.allclose(found.numpy(), wanted.transpose(0, 3, 1, 2), atol=1e-5)


def test_every_epoch_reads_each_image_once_and_the_source_reads_from_the_end() -> None:
    target = batches().numbers(np.arange(30))
    for epoch in range(3):
        assert sorted(target[epoch * 10 : epoch * 10 + 10]) == list(range(10))
    assert not np.array_equal(target[:10], target[10:20])
    assert np.array_equal(batches(stream="source").numbers(np.arange(10)), target[:10][::-1])
    assert not np.array_equal(batches(seed=2).numbers(np.arange(10)), target[:10])


def test_a_batch_is_a_function_of_seed_and_step_and_crosses_epochs() -> None:
    augment = Augment(pad=1, flip=True)
    read = batches(augment=augment)
    there = [read.of(step) for step in range(6)]
    again = [batches(augment=augment).of(step) for step in (5, 2, 0)]
    for one, step in zip(again, (5, 2, 0), strict=True):
        assert torch.equal(one.inputs, there[step].inputs) and torch.equal(one.labels, there[step].labels)
    seen = torch.cat([batch.labels for batch in there[:5]])
    assert sorted(seen.tolist()) == sorted([*IMAGES.labels.tolist(), *IMAGES.labels.tolist()])


def test_an_unchanged_batch_holds_the_images_of_its_labels() -> None:
    found = batches().of(0)
    rows = batches().numbers(np.arange(4))
    assert np.array_equal(found.inputs.numpy().round(), IMAGES.pixels[rows].transpose(0, 3, 1, 2))
    assert found.labels.tolist() == IMAGES.labels[rows].tolist()


def test_a_crop_is_a_window_of_the_image_with_its_border() -> None:
    found = cropped(IMAGES.pixels, 2, np.random.default_rng(3))
    framed = np.pad(IMAGES.pixels, ((0, 0), (2, 2), (2, 2), (0, 0)))
    seen = set()
    for image, frame in zip(found, framed, strict=True):
        places = [(y, x) for y in range(5) for x in range(5) if np.array_equal(frame[y : y + 6, x : x + 6], image)]
        assert len(places) == 1
        seen.update(places)
    assert len(seen) > 3


def test_a_flip_mirrors_about_half_of_the_images() -> None:
    many = np.repeat(IMAGES.pixels[:1], 400, axis=0)
    found = flipped(many, np.random.default_rng(0))
    mirrored = (found == many[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (mirrored | (found == many).all(axis=(1, 2, 3))).all() and 150 < mirrored.sum() < 250


def test_randaugment_needs_torchvision_and_follows_seed_and_step() -> None:
    try:
        import torchvision  # noqa: F401
    except ImportError:
        with pytest.raises(GrowBenchError, match=r"images\.randaugment: needs torchvision.*; install it"):
            Augment(operations=2)
        return
    follows_seed_and_step(Augment(operations=2, magnitude=9))


def test_a_torchvision_for_another_torch_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision/__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms\\ndoes not exist')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(
        GrowBenchError, match=r"^images\.randaugment: .*\(operator torchvision::nms does not exist\); install"
    ):
        Augment(operations=2)


def follows_seed_and_step(changed: Augment) -> None:
    many = np.repeat(IMAGES.pixels, 4, axis=0)
    state, kept = torch.random.get_rng_state(), many.copy()
    first, again, other, seed = (changed.apply(many, *at) for at in ((0, 1), (0, 1), (0, 2), (1, 1)))
    assert np.array_equal(first, again) and first.shape == many.shape and first.dtype == np.uint8
    assert not np.array_equal(first, other) and not np.array_equal(first, seed) and np.array_equal(many, kept)
    assert torch.equal(state, torch.random.get_rng_state())


def test_randaugment_draws_for_each_part_of_a_batch_and_gets_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in, because torchvision is not a dependency: it adds one drawn number to all images that it gets."""
    calls: list[tuple[int, ...]] = []

    class RandAugment:
        def __init__(self, operations: int, magnitude: int) -> None:
            calls.append((operations, magnitude))

        def __call__(self, images: torch.Tensor) -> torch.Tensor:
            calls.append(tuple(images.shape))
            return images + torch.randint(1, 200, (), dtype=torch.uint8)

    monkeypatch.setattr("growbench.train.augment._torchvision", lambda: SimpleNamespace(RandAugment=RandAugment))
    augment, many = Augment(operations=3, magnitude=7), np.zeros((16, 6, 5, 3), dtype=np.uint8)
    found = augment.apply(many, 0, 0)
    assert calls == [(3, 7), *[(2, 3, 6, 5)] * GROUPS]  # channels come first, as torchvision wants them
    added = found.reshape(GROUPS, -1)
    assert (added == added[:, :1]).all() and len(set(added[:, 0].tolist())) > GROUPS // 2
    follows_seed_and_step(augment)


def test_micro_batches_are_the_batch_in_pieces() -> None:
    whole = batches().of(3)
    pieces = [whole.piece(number, 2) for number in range(2)]
    assert torch.equal(torch.cat([piece.inputs for piece in pieces]), whole.inputs)
    assert torch.equal(torch.cat([piece.labels for piece in pieces]), whole.labels)
    assert all(isinstance(piece, Batch) and piece.positions.tolist() == [0, 1] for piece in pieces)


def test_validation_images_are_unchanged_and_each_is_a_document() -> None:
    found = windows(IMAGES, PLAIN, np.arange(1, 10, 2), 3)
    assert found.numbers.tolist() == [1, 5, 9] and found.tokens.tolist() == [1, 1, 1] and found.count == 3
    (one,), (places,) = found.batches, found.places
    assert places.tolist() == [0, 1, 2] and one.labels.tolist() == IMAGES.labels[[1, 5, 9]].tolist()
    assert np.array_equal(one.inputs.numpy().round(), IMAGES.pixels[[1, 5, 9]].transpose(0, 3, 1, 2))
