"""What a run on images is set up from: its batches, and the images that it is validated on."""

import numpy as np

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus import parts
from growbench.pipeline.corpus.images.corpus import ImageCorpus
from growbench.pipeline.corpus.parts import Purpose
from growbench.study.study import Study
from growbench.train.augment import Augment
from growbench.train.data import Stream
from growbench.train.images import ImageBatches, Images, windows
from growbench.train.windows import Windows


def augment_of(study: Study) -> Augment:
    """Return how the study changes training images. Raises GrowBenchError if that needs a package that is missing."""
    images = study.images
    assert images is not None
    chosen = images.randaugment or {"operations": 0, "magnitude": 9}
    return Augment(images.pad, images.flip, **chosen)


def batches_of(study: Study, corpus: ImageCorpus, seed: int, stream: Stream) -> ImageBatches:
    """Return the batches of a run."""
    return ImageBatches(
        images=corpus.train, scaling=corpus.scaling, augment=augment_of(study), size=study.optimizer.batch, seed=seed,
        stream=stream,
    )  # fmt: skip


def windows_of(study: Study, corpus: ImageCorpus, purpose: Purpose) -> Windows:
    """Return the images for a purpose (parts.py), evenly spaced over their split and the same for every run of the study."""
    part = parts.of(purpose, corpus.test is not None)
    images: Images = getattr(corpus, part.split)
    numbers = np.arange(len(images))
    numbers = numbers[part.holds(numbers)]
    if not len(numbers):
        raise GrowBenchError(f"corpus.{part.split}: no images in {part}; give more")
    return windows(images, corpus.scaling, numbers, parts.windows(study, purpose))
