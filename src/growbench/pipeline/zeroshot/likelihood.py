"""What a causal model gives to text: nats of each token and whether it would have been the greedy choice.

Text longer than the model reads is cut into overlapping windows, in which every token is scored once (the sliding window of
Baevski & Auli, 2019).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from growbench.families import Family

ROWS = 1024  # predicted positions whose logits are held at a time


@dataclass(frozen=True, slots=True)
class Window:
    """ids [n]: the last `scored` of them are predicted, each from all that stand before it."""

    ids: np.ndarray
    scored: int


@dataclass(frozen=True, slots=True)
class Scored:
    """nats [scored], float64. right [scored]: whether a token was the likeliest one."""

    nats: np.ndarray
    right: np.ndarray


def windows(ids: np.ndarray, length: int, stride: int) -> list[Window]:
    """Cut ids [1 + N] so that each but the first is scored once by a model that reads at most `length` ids.

    The first window scores all of its tokens; each later one scores `stride`, which see at least length - stride + 1 ids.
    """
    total, done, found = len(ids) - 1, 0, []
    while done < total:
        stop = min(total, done + stride if done else length)
        found.append(Window(ids[max(0, stop - length) : stop + 1], stop - done))
        done = stop
    return found


@torch.no_grad()
def score(family: Family, model: Any, cut: Sequence[Window], batch: int, device: torch.device) -> list[Scored]:
    """Score every window, `batch` of like length at a time, in float32; return them in their order."""
    order = sorted(range(len(cut)), key=lambda i: len(cut[i].ids))
    found: dict[int, Scored] = {}
    for begin in range(0, len(order), batch):
        rows = order[begin : begin + batch]
        inputs, chosen, targets = _padded([cut[i] for i in rows])
        hidden = family.encode(model, inputs.to(device))[chosen.to(device)]
        nats, right = _nats(family, model, hidden, targets.to(device))
        ends = np.cumsum([cut[i].scored for i in rows])[:-1]
        parts = zip(rows, np.split(nats, ends), np.split(right, ends), strict=True)
        found.update({i: Scored(n, r) for i, n, r in parts})
    return [found[i] for i in range(len(cut))]


def _padded(cut: Sequence[Window]) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs [B, T], padded at the end, which no earlier position sees; predicted positions [B, T]; their targets [K]."""
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
    for states, wanted in zip(hidden.split(ROWS), targets.split(ROWS), strict=True):
        logits = family.head(model, states).float()
        nats.append(torch.nn.functional.cross_entropy(logits, wanted, reduction="none").double().cpu())
        right.append((logits.argmax(-1) == wanted).cpu())
    return torch.cat(nats).numpy(), torch.cat(right).numpy()
