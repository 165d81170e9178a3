"""Resamples of the documents that losses are measured on, the same for all methods and seeds of a study."""

import numpy as np

from growbench.analysis.statistics.intervals import Floats

RESAMPLES = 1_000


def resampled(tokens: Floats, nats: Floats) -> Floats:
    """Return the losses of a run with its documents resampled, shape (RESAMPLES, points), in nats per predicted token.

    tokens: predicted ones of each document, shape (documents,). nats: shape (points, documents). Documents are drawn with
    replacement from a fixed seed, so runs that were evaluated on equally many documents get the same resamples.
    """
    count = len(tokens)
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    return np.asarray((drawn @ nats.T) / (drawn @ tokens)[:, None])
