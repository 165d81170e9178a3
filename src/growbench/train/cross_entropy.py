"""Cross-entropy in nats, added up in float32 or wider: of each position, or the mean, which keeps its gradient."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def mean(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of logits [P, V] against ids [P].

    On a CPU whose logits need a gradient, the softmax of the forward pass becomes the gradient in place, so that logits
    are read once.
    """
    if logits.device.type == "cpu" and logits.requires_grad and torch.is_grad_enabled():
        value: Tensor = _Mean.apply(logits, labels)
        return value
    return F.cross_entropy(wide(logits), labels)


def each(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of each position, [P], of logits [P, V] against ids [P]."""
    return F.cross_entropy(wide(logits), labels, reduction="none")


def wide(values: Tensor) -> Tensor:
    """Return the values in float32, or in float64 if they are."""
    return values.to(_dtype(values))


def _dtype(values: Tensor) -> torch.dtype:
    return torch.promote_types(values.dtype, torch.float32)


class _Mean(torch.autograd.Function):
    """d loss / d logits = (softmax - one-hot) / P."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor) -> Tensor:
        chances = torch.softmax(logits, -1, dtype=_dtype(logits))
        rows = torch.arange(len(labels))
        right = chances[rows, labels]
        possible = right.min() > 0  # in the dtype: a token may be too unlikely for it
        losses = -right.log() if possible else each(logits, labels)
        chances[rows, labels] -= 1
        ctx.save_for_backward(chances.div_(len(labels)).to(logits.dtype))
        return losses.mean()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return (gradient if outer[0] == 1 else gradient * outer[0]), None
