"""A built corpus of images: memory-mapped pixels, labels, and their manifest."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from growbench.pipeline.corpus import corpus
from growbench.pipeline.corpus.images.build import LABEL
from growbench.train.images import Images, Scaling

CHANNELS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageCorpus:
    """The decoded images of a study. manifest: what build.py wrote about them. test: None if the study has none."""

    manifest: dict[str, Any]
    train: Images
    valid: Images
    test: Images | None = None

    @property
    def digest(self) -> str:
        """The SHA-256 of all that models depend on: pixels, labels, classes and scaling, but not where they came from."""
        return corpus.digest(self.manifest)

    @property
    def scaling(self) -> Scaling:
        """How pixels become inputs."""
        return _scaling(self.manifest)


def load(folder: Path) -> ImageCorpus:
    """Open built images. Raises GrowBenchError naming the file that is missing or does not match the manifest."""
    values = corpus.read_manifest(folder)
    corpus.check(folder, values)
    found = {split: of_split(folder, values[split], values["size"]) for split in corpus.splits(values)}
    return ImageCorpus(manifest=values, **found)


def of_split(folder: Path, entry: dict[str, Any], size: int) -> Images:
    """Return the images of one file. entry: of the manifest. size: pixels of a side."""
    path, count = folder / entry["file"], entry["documents"]
    if not count:
        return Images(np.zeros((0, size, size, CHANNELS), np.uint8), np.zeros(0, np.int64))
    shape = (count, size, size, CHANNELS)
    pixels = np.memmap(path, dtype=np.uint8, mode="r", shape=shape)
    labels = np.fromfile(path, LABEL, offset=int(np.prod(shape)))
    return Images(pixels, labels.astype(np.int64))


def scaling_of(folder: Path) -> Scaling:
    """Return how pixels become inputs of models of a built corpus. Its images are not looked at."""
    return _scaling(corpus.read_manifest(folder))


def _scaling(values: dict[str, Any]) -> Scaling:
    return Scaling(tuple(values["mean"]), tuple(values["std"]))
