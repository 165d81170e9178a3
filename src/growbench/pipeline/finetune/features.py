"""Features of texts: the mean of a frozen model's hidden states, or counts of tokens; of a pair, both and how they compare."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from growbench.families import Family
from growbench.train.device import Compute

BATCH = 256
Ids = Sequence[Sequence[int]]


@torch.no_grad()
def pooled(family: Family, model: Any, ids: Ids, compute: Compute) -> NDArray[np.float32]:
    """Return the mean over each text's tokens of the hidden states that the head reads, [texts, hidden].

    Texts of one length are read together, so that nothing is padded. A text without tokens has zeros.
    """
    lengths = np.asarray([len(row) for row in ids])
    out = np.zeros((len(ids), family.spec(model.config).hidden), dtype=np.float32)
    for length in np.unique(lengths[lengths > 0]):
        same = np.flatnonzero(lengths == length)
        for rows in np.array_split(same, -(-len(same) // BATCH)):
            batch = torch.tensor(np.asarray([ids[row] for row in rows]), device=compute.device)
            with compute.cast():
                hidden = family.encode(model, batch)
            out[rows] = hidden.float().mean(1).cpu().numpy()
    return out


def counts(ids: Ids, vocab: int) -> sparse.csr_matrix:
    """Return how often each token is in each text, [texts, vocab]."""
    places = np.repeat(np.arange(len(ids)), [len(row) for row in ids])
    tokens = np.concatenate([np.asarray(row, dtype=np.int64) for row in ids])
    return sparse.csr_matrix((np.ones(len(tokens), dtype=np.float32), (places, tokens)), shape=(len(ids), vocab))


def joined(parts: Sequence[Any]) -> Any:
    """Return the features of rows: those of a single text; of a pair u, v, |u - v| and u v (InferSent, EMNLP 2017).

    parts: one matrix [rows, features] for each text, dense or sparse. Returns [rows, features or 4 x features].
    """
    if len(parts) == 1:
        return parts[0]
    u, v = parts
    if sparse.issparse(u):
        return sparse.hstack([u, v, abs(u - v), u.multiply(v)], format="csr")
    return reduce(lambda left, right: np.concatenate([left, right], axis=1), (u, v, np.abs(u - v), u * v))
