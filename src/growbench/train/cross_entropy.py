"""Cross-entropy in nats, added up in float32 or wider: of each position, or the mean, which keeps its gradient."""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

PIECE = 2**17  # logits that a CPU takes at once, so that it finds their wide copies in its cache


def mean(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of logits [P, V] against ids [P].

    On a CPU whose logits need a gradient, the softmax of the forward pass becomes the gradient, so that logits are read
    once.
    """
    if logits.device.type == "cpu" and logits.requires_grad and torch.is_grad_enabled():
        value: Tensor = _Mean.apply(logits, labels)
        return value
    return F.cross_entropy(wide(logits), labels)


def each(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of each position, [P], of logits [P, V] against ids [P]."""
    parts = [F.cross_entropy(wide(few), right, reduction="none") for few, right in _pieces(logits, labels)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def wide(values: Tensor) -> Tensor:
    """Return the values in float32, or in float64 if they are."""
    return values.to(_dtype(values))


def _dtype(values: Tensor) -> torch.dtype:
    return torch.promote_types(values.dtype, torch.float32)


def _pieces(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield the same rows of all tensors, the first of which is [P, V]: at most PIECE numbers of it on a CPU, else all."""
    first = tensors[0]
    rows = max(1, PIECE // first.shape[1]) if first.device.type == "cpu" else max(1, len(first))
    return zip(*(tensor.split(rows) for tensor in tensors), strict=True)


class _Mean(torch.autograd.Function):
    """d loss / d logits = (softmax - one-hot) / P."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor) -> Tensor:
        right = torch.empty(len(labels), dtype=_dtype(logits))
        if logits.dtype == right.dtype:
            gradient = _gradient(logits, labels, right, len(labels))
        else:
            gradient = torch.empty_like(logits)
            for few, ids, chances, out in _pieces(logits, labels, right, gradient):
                out.copy_(_gradient(few, ids, chances, len(labels)))
        possible = right.min() > 0  # in the dtype: a token may be too unlikely for it
        losses = -right.log() if possible else each(logits, labels)
        ctx.save_for_backward(gradient)
        return losses.mean()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return (gradient if outer[0] == 1 else gradient * outer[0]), None


def _gradient(logits: Tensor, labels: Tensor, right: Tensor, count: int) -> Tensor:
    """Return the gradient of the mean over `count` positions, [P, V], wide; `right` [P] becomes the labels' chances."""
    chances, places = torch.softmax(logits, -1, dtype=right.dtype), labels[:, None]
    torch.gather(chances, 1, places, out=right[:, None])
    return chances.scatter_(1, places, (right - 1)[:, None]).div_(count)
