"""Resamples of the documents that losses are measured on, the same for all methods and seeds of a study."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from growbench.analysis.statistics.intervals import Floats

RESAMPLES = 1_000


def resampled(tokens: Floats, nats: Floats) -> Floats:
    """Return the losses of a run with its documents resampled, shape (RESAMPLES, points), in nats per predicted token.

    tokens: predicted ones of each document, shape (documents,). nats: shape (points, documents). Documents are drawn with
    replacement from a fixed seed, so runs that were evaluated on equally many documents get the same resamples.
    """
    drawn = _drawn(len(tokens))
    return np.asarray((drawn @ nats.T) / (drawn @ tokens)[:, None])


@cache
def _drawn(documents: int) -> NDArray[np.float64]:
    """Return how often each document is in each resample, shape (RESAMPLES, documents)."""
    draw = np.random.default_rng(0)
    return draw.multinomial(documents, np.full(documents, 1 / documents), size=RESAMPLES).astype(np.float64)
