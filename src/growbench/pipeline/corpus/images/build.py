"""Decode a study's images once into flat files of pixels and labels, with a manifest that is written last."""

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from growbench.errors import GrowBenchError, nearest
from growbench.pipeline.corpus import parts
from growbench.pipeline.corpus.corpus import VERSION
from growbench.pipeline.corpus.images import source as image_source
from growbench.pipeline.corpus.images.decode import Tally, tried
from growbench.pipeline.corpus.images.source import Example, ImageSource, ImageStream
from growbench.records import manifest
from growbench.runtime import durable, launch, lock
from growbench.study.study import Study
from growbench.synthetic import shapes

log = logging.getLogger(__name__)
LABEL = np.dtype("<u2")
TOGETHER = 256  # images that are decoded at a time
THREADS = 4
REMEDY = "give more images, or a larger corpus.valid_fraction"


@dataclass
class Writer:
    """Appends decoded images to a file, and their labels when it is closed: all pixels come first, then all labels.

    path: the file. classes: how many there are. limit: the largest number of images, None for no limit.
    labels: of the images so far. sums: of values and squared values by channel, [2, C].
    """

    path: Path
    classes: int
    limit: int | None = None
    labels: list[int] = field(default_factory=list)
    sums: np.ndarray = field(default_factory=lambda: np.zeros((2, 3), dtype=np.int64))

    def __post_init__(self) -> None:
        self.hash = hashlib.sha256()
        self.handle = open(self.path, "wb")

    @property
    def full(self) -> bool:
        return self.limit is not None and len(self.labels) >= self.limit

    def add(self, image: np.ndarray, label: int) -> None:
        """Take an image, uint8 [H, W, C]."""
        wide = image.reshape(-1, image.shape[2]).astype(np.int64)
        self.sums += (wide.sum(0), (wide**2).sum(0))
        self._write(image.tobytes())
        self.labels.append(label)

    def _write(self, data: bytes) -> None:
        self.hash.update(data)
        self.handle.write(data)

    def close(self) -> dict[str, Any]:
        """Write the labels and flush the file to disk; return its entry in the manifest."""
        self._write(np.asarray(self.labels, dtype=LABEL).tobytes())
        self.handle.flush()
        os.fsync(self.handle.fileno())
        self.handle.close()
        counts = np.bincount(np.asarray(self.labels, dtype=np.int64), minlength=self.classes).tolist()
        return {
            "file": self.path.name, "documents": len(self.labels), "counts": counts, "sha256": self.hash.hexdigest(),
        }  # fmt: skip


def check(study: Study) -> None:
    """Raise GrowBenchError for images that are missing, or classes that are not those of the config."""
    _classes(study, image_source.open_source(study))


def build(study: Study) -> Path:
    """Write the study's images and return the path of their manifest."""
    folder, path = study.layout.corpus, study.layout.corpus_manifest
    durable.refuse_links(path)
    with lock.held(study.layout.corpus_lock):
        began = time.monotonic()
        source = image_source.open_source(study)
        names = _classes(study, source)
        work = folder.with_name(f".{folder.name}.building")
        shutil.rmtree(work, ignore_errors=True)
        with durable.writing(work):
            work.mkdir(parents=True)
            try:
                values = _write(study, source, names, work)
                path.unlink(missing_ok=True)
                folder.mkdir(parents=True, exist_ok=True)
                for made in sorted(work.iterdir()):
                    os.replace(made, folder / made.name)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        manifest.write(path, values)
        log.info("corpus: %d training images in %.0f s", values["train"]["documents"], time.monotonic() - began)
    return path


def _classes(study: Study, source: ImageSource) -> tuple[str, ...]:
    """Return the names of the classes. Raises GrowBenchError unless every split has the same, as many as the config says."""
    assert study.images is not None
    names = source.train.names
    if len(names) != study.images.classes:
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        raise GrowBenchError(
            f"images.classes: {study.images.classes}, but corpus.train has {len(names)} classes ({shown}); use {len(names)}"
        )
    for key in ("valid", "test"):
        stream: ImageStream | None = getattr(source, key)
        if stream is None:
            continue
        if odd := [name for name in stream.names if name not in names]:
            raise GrowBenchError(
                f"corpus.{key}: class {odd[0]!r} is not one of corpus.train's; {nearest(odd[0], names)}"
            )
        if lacking := [name for name in names if name not in stream.names]:
            raise GrowBenchError(
                f"corpus.{key}: class {lacking[0]!r} of corpus.train has no images; add some, or remove the class"
            )
    return names


def _write(study: Study, source: ImageSource, names: Sequence[str], work: Path) -> dict[str, Any]:
    """Write the files of all splits; return the manifest."""
    images, config = study.images, study.corpus
    assert images is not None
    train = Writer(work / "train.bin", len(names), images.most)
    writers = {"train": train, "valid": Writer(work / "valid.bin", len(names))}
    unreadable = {
        "train": pack(study, "train", source.train, names, train, writers["valid"] if source.valid is None else None)
    }
    for key, stream in (("valid", source.valid), ("test", source.test)):
        if stream is not None:
            writer = writers.setdefault(key, Writer(work / f"{key}.bin", len(names)))
            unreadable[key] = pack(study, key, stream, names, writer, None)
    written = {split: writer.close() for split, writer in writers.items()}
    _check_written(written, names, source)
    right, loss = shapes.best(len(names), images.confused) if config.source == "synthetic" else (None, None)
    mean, std = _scaling(train, images.size)
    notes = {key: stream.note for key in ("train", "valid", "test") if (stream := getattr(source, key)) is not None}
    return {
        "version": VERSION,
        "kind": "images",
        "vocab": len(names),
        "classes": list(names),
        "size": images.size,
        "mean": mean,
        "std": std,
        **written,
        "unigram_entropy": _prior_entropy(written),
        "entropy_floor": loss,
        "best_accuracy": right,
        "source": {"kind": config.source, **notes, "unreadable": unreadable},
    }


def pack(
    study: Study,
    key: str,
    stream: ImageStream,
    names: Sequence[str],
    writer: Writer,
    valid: Writer | None,
    *,
    size: int | None = None,
) -> int:
    """Decode the images of a split into `writer` until it is full; return how many could not be read.

    If there is `valid`, the share corpus.valid_fraction of them goes there, chosen by a hash of their pixels, so that an
    image that occurs twice is never on both sides. size: pixels of a side; None takes images.size.
    """
    assert study.images is not None
    numbers, tally, config = {name: number for number, name in enumerate(names)}, Tally(), study.corpus
    for example, image in _decoded(stream.read(), size or study.images.size, tally):
        if image is None:
            if tally.bad > 100 * max(1, tally.good):
                tally.check(key)
            continue
        if example.label not in numbers:
            raise GrowBenchError(
                f"corpus.{key}: {example.where} is of class {example.label!r}, which is not one of corpus.train's; "
                f"{nearest(example.label, names)}"
            )
        aside = valid is not None and held_out(image, config.seed, config.valid_fraction)
        (valid if aside and valid is not None else writer).add(image, numbers[example.label])
        if writer.full:
            break
    tally.check(key)
    if tally.bad:
        log.warning(
            "corpus.%s: %d images cannot be read and are left out; the first is %s", key, tally.bad, tally.first
        )
    return tally.bad


def _decoded(examples: Iterator[Example], size: int, tally: Tally) -> Iterator[tuple[Example, np.ndarray | None]]:
    """Yield examples with their images, in order; threads decode some at a time."""
    with ThreadPoolExecutor(launch.threads(THREADS)) as pool:
        while group := list(islice(examples, TOGETHER)):
            made = pool.map(lambda one: tried(one.data, size), group)
            yield from ((one, tally.count(found, one.where)) for one, found in zip(group, made, strict=True))


def held_out(image: np.ndarray, seed: int, fraction: float) -> bool:
    """Return whether an image is held out: if a hash of the seed and its pixels, uniform in [0, 1), is below `fraction`."""
    found = hashlib.blake2b(np.ascontiguousarray(image).tobytes(), digest_size=8, key=str(seed).encode())
    return int.from_bytes(found.digest(), "little") < fraction * 2**64


def _check_written(written: dict[str, Any], names: Sequence[str], source: ImageSource) -> None:
    """Raise GrowBenchError if a class has no training image that can be read, or a split too few images."""
    for name, count in zip(names, written["train"]["counts"], strict=True):
        if not count:
            raise GrowBenchError(
                f"corpus.train: class {name!r} has no images that are read; add some, or raise images.most"
            )
    tested = source.test is not None
    for split in ("valid", *(["test"] if tested else [])):
        parts.check(split, written[split]["documents"], tested, REMEDY, "images")


def _scaling(train: Writer, size: int) -> tuple[list[float], list[float]]:
    """Return the mean and the standard deviation of each channel over the training images, of values from 0 to 1."""
    count = len(train.labels) * size**2
    mean, square = train.sums / count
    std = np.sqrt(np.maximum(square - mean**2, 1.0))
    return (mean / 255).round(6).tolist(), (std / 255).round(6).tolist()


def _prior_entropy(written: dict[str, Any]) -> float:
    """Return the loss of predicting the training split's class frequencies, in nats per image, on the split that is reported."""
    train = np.asarray(written["train"]["counts"], dtype=np.float64) + 1
    scored = np.asarray(written["test" if "test" in written else "valid"]["counts"], dtype=np.float64)
    return float(-(scored * np.log(train / train.sum())).sum() / max(scored.sum(), 1))
