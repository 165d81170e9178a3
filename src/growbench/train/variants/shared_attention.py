"""Attention whose probabilities go from one layer to the next, behind `transformers`' attention interface.

A layer passes its probabilities on once in a forward pass and the next one removes them, so that nothing remains
between passes. It does not work with gradient checkpointing or with sub-models (train/variants/submodel.py).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, eager_mask

from growbench.errors import GrowBenchError

NAME = "growbench_shared"
LENDS, BORROWS = "_lends", "_borrows"


class Hand:
    """Passes the probabilities [B, heads, T, T] of one layer to the next within a forward pass."""

    def __init__(self) -> None:
        self.held: Tensor | None = None

    def take(self) -> Tensor:
        held, self.held = self.held, None
        if held is None:
            raise GrowBenchError(
                "shared attention: the previous layer did not run; run the whole model, without gradient checkpointing"
            )
        return held


def connect(lower: nn.Module, upper: nn.Module) -> None:
    """Make attention module `upper` use the probabilities of `lower`, which belongs to the previous layer."""
    hand = Hand()
    setattr(lower, LENDS, hand)
    setattr(upper, BORROWS, hand)


def disconnect(module: nn.Module) -> None:
    """Undo `connect` for one module, lower or upper."""
    vars(module).pop(LENDS, None)
    vars(module).pop(BORROWS, None)


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor]:
    """Attention in `transformers`' interface: query, key and value are [B, heads, T, d].

    Returns the output [B, T, heads, d] and the probabilities [B, heads, T, T].
    """
    hand = getattr(module, BORROWS, None)
    if hand is None:
        shared = _probabilities(query, key, attention_mask, scaling, kwargs.get("softcap")).to(value.dtype)
    else:
        shared = hand.take()
    if follower := getattr(module, LENDS, None):
        follower.held = shared
    value = value.repeat_interleave(shared.shape[1] // value.shape[1], dim=1)
    out = F.dropout(shared, dropout, module.training) @ value
    return out.transpose(1, 2).contiguous(), shared


def _probabilities(
    query: Tensor, key: Tensor, mask: Tensor | None, scaling: float | None, softcap: float | None
) -> Tensor:
    key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
    scores = query @ key.transpose(2, 3) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    scores = scores if softcap is None else (scores / softcap).tanh() * softcap
    scores = scores if mask is None else scores + mask
    return scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32))


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, eager_mask)
