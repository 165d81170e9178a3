"""Cross-entropy that keeps its gradient from the forward pass, so that logits are read once."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def mean(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy, in nats, of logits [P, V] against ids [P], added up in float32 or wider.

    On a CPU whose logits need a gradient, the softmax of the forward pass becomes the gradient in place.
    """
    if logits.device.type == "cpu" and logits.requires_grad and torch.is_grad_enabled():
        value: Tensor = _Mean.apply(logits, labels)
        return value
    return F.cross_entropy(logits.to(_wide(logits)), labels)


def _wide(logits: Tensor) -> torch.dtype:
    return torch.promote_types(logits.dtype, torch.float32)


class _Mean(torch.autograd.Function):
    """d loss / d logits = (softmax - one-hot) / P."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor) -> Tensor:
        chances = torch.softmax(logits, -1, dtype=_wide(logits))
        rows = torch.arange(len(labels))
        right = chances[rows, labels]
        if right.min() > 0:
            losses = -right.log()
        else:  # too unlikely for its dtype
            losses = F.cross_entropy(logits.to(chances.dtype), labels, reduction="none")
        chances[rows, labels] -= 1
        ctx.save_for_backward(chances.div_(len(labels)).to(logits.dtype))
        return losses.mean()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return (gradient if outer[0] == 1 else gradient * outer[0]), None
