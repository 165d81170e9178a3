"""Batches of images: a function of seed and step alone, each image once per epoch, changed as asked and in no other way."""

import numpy as np
import pytest
import torch

from growbench.errors import GrowBenchError
from growbench.train.augment import Augment, cropped, flipped
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
    augment, many = Augment(operations=2, magnitude=9), np.repeat(IMAGES.pixels, 4, axis=0)
    state = torch.random.get_rng_state()
    first, again, other = (augment.apply(many, 0, step) for step in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other) and first.shape == many.shape
    assert torch.equal(state, torch.random.get_rng_state())


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
