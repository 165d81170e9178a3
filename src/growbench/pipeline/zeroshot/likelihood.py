"""The likelihood of text under a causal model: the nats of each token, and whether it is the greedy choice.

Text that is longer than the model reads is cut into overlapping windows, and every token is scored in one of them (the
sliding window of Baevski & Auli, 2019).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from growbench.families import Family
from growbench.train import cross_entropy
from growbench.train.device import Compute

ROWS = 1024  # predicted positions whose logits are in memory at once


@dataclass(frozen=True, slots=True)
class ScoredWindow:
    """Token ids [n], of which the last `scored` are predicted, each from all ids before it."""

    ids: np.ndarray
    scored: int


@dataclass(frozen=True, slots=True)
class Likelihood:
    """The scored tokens of one window.

    nats: of each token, [scored], float64. right: whether each is the most likely token, [scored].
    """

    nats: np.ndarray
    right: np.ndarray


def windows(ids: np.ndarray, length: int, stride: int, cls: int) -> list[ScoredWindow]:
    """Cut ids [1 + N] into windows that are sequences as in training, and score each id but the first once.

    A window is [CLS] and at most length - 1 ids. The first one scores all of its tokens. Each later one scores `stride`
    tokens, which see at least length - stride ids, [CLS] among them.
    """
    total, done, found = len(ids) - 1, 0, []
    while done < total:
        stop = min(total, done + stride if done else length - 2)
        found.append(ScoredWindow(begun(ids[: stop + 1], length, cls), stop - done))
        done = stop
    return found


def begun(ids: np.ndarray, length: int, cls: int) -> np.ndarray:
    """Return [CLS] and the end of ids, `length` in all at most."""
    return np.concatenate([[cls], ids[-(length - 1) :]])


@torch.no_grad()
def score(family: Family, model: Any, cut: Sequence[ScoredWindow], batch: int, compute: Compute) -> list[Likelihood]:
    """Return the likelihood of every window, in order. Windows of similar length run together, `batch` at a time."""
    order = sorted(range(len(cut)), key=lambda i: len(cut[i].ids))
    found: dict[int, Likelihood] = {}
    for begin in range(0, len(order), batch):
        rows = order[begin : begin + batch]
        inputs, chosen, targets = _padded([cut[i] for i in rows])
        with compute.cast():
            hidden = family.encode(model, inputs.to(compute.device))[chosen.to(compute.device)]
            nats, right = _nats(family, model, hidden, targets.to(compute.device))
        ends = np.cumsum([cut[i].scored for i in rows])[:-1]
        parts = zip(rows, np.split(nats, ends), np.split(right, ends), strict=True)
        found.update({i: Likelihood(n, r) for i, n, r in parts})
    return [found[i] for i in range(len(cut))]


def _padded(cut: Sequence[ScoredWindow]) -> tuple[Tensor, Tensor, Tensor]:
    """Return inputs [B, T], predicted positions [B, T] and their targets [K]. Padding is at the end."""
    longest = max(len(window.ids) for window in cut) - 1
    inputs = torch.zeros(len(cut), longest, dtype=torch.int64)
    chosen = torch.zeros(len(cut), longest, dtype=torch.bool)
    for row, window in enumerate(cut):
        n = len(window.ids) - 1
        inputs[row, :n] = torch.from_numpy(window.ids[:-1].astype(np.int64))
        chosen[row, n - window.scored : n] = True
    targets = np.concatenate([window.ids[len(window.ids) - window.scored :] for window in cut])
    return inputs, chosen, torch.from_numpy(targets.astype(np.int64))


def _nats(family: Family, model: Any, hidden: Tensor, targets: Tensor) -> tuple[np.ndarray, np.ndarray]:
    nats, right = [], []
    for logits, wanted in pieces(family, model, hidden, targets):
        nats.append(cross_entropy.each(logits, wanted).double().cpu())
        right.append((logits.argmax(-1) == wanted).cpu())
    return torch.cat(nats).numpy(), torch.cat(right).numpy()


def pieces(family: Family, model: Any, hidden: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the logits [k, V] and targets [k] of predicted positions, at most ROWS at a time.

    hidden: states [K, hidden] that the head reads. targets: ids [K].
    """
    for states, wanted in zip(hidden.split(ROWS), targets.split(ROWS), strict=True):
        yield family.head(model, states), wanted
