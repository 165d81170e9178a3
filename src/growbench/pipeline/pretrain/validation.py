"""The windows that models are validated on: along the trunk, where a search compares, and at finished points."""

import numpy as np

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus import parts
from growbench.pipeline.corpus.corpus import Corpus, documents
from growbench.pipeline.corpus.images.corpus import ImageCorpus
from growbench.pipeline.corpus.parts import Purpose
from growbench.pipeline.pretrain import images
from growbench.study.study import Study
from growbench.train.batches import Batches
from growbench.train.data import PackedSequences
from growbench.train.images import ImageBatches
from growbench.train.objective import Objective
from growbench.train.windows import Windows, windows


def measured(study: Study, corpus: Corpus | ImageCorpus, batches: Batches | ImageBatches, purpose: Purpose) -> Windows:
    """Return the windows for a purpose: those of text (`of`), or of images, which are windows of their own."""
    if isinstance(batches, ImageBatches):
        assert isinstance(corpus, ImageCorpus)
        return images.windows_of(study, corpus, purpose)
    assert isinstance(corpus, Corpus)
    return of(study, corpus, batches.objective, purpose)


def of(study: Study, corpus: Corpus, objective: Objective, purpose: Purpose) -> Windows:
    """Return the windows for a purpose (parts.py), evenly spaced over their text and the same for every run of the study.

    Raises GrowBenchError if the text is shorter than one sequence, or holds nothing to predict.
    """
    part = parts.of(purpose, corpus.test is not None)
    ids: np.ndarray = getattr(corpus, part.split)
    special = corpus.manifest["special"]
    sequences = PackedSequences(ids, study.objective.length, int(special["cls"]), 0)
    numbers = documents(ids, int(special["sep"]))
    most = parts.windows(study, purpose)
    found = windows(sequences, objective, numbers, part.holds(numbers), most)
    if not len(found.numbers):
        raise GrowBenchError(f"corpus.{part.split}: nothing to predict in {part}; give more text")
    return found
