"""The fastest attention for a dtype and a length, behind `transformers`' attention interface.

On a CPU, PyTorch's fused kernel is slow in bfloat16 at short lengths: docs/LOG.md has the measured times. There,
two batched matrix products around a softmax take its place. Everywhere else PyTorch chooses. The rule is fixed, not
timed in each job: two kernels round differently, and a run must end with the same bytes whenever it is interrupted.
"""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

NAME = "growbench"
SHORT = 512  # the longest input, in tokens, at which two products are faster in bfloat16


def choose(model: Any) -> None:
    """Let a stock model attend by `attend`, if it would leave the kernel to PyTorch; in place, and never saved."""
    if model.config._attn_implementation == "sdpa":
        model.set_attn_implementation(NAME)


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention in `transformers`' interface: query is [B, heads, T, d], key and value are [B, key/value heads, S, d].

    attention_mask: bool [B, 1, T, S], true where a position may look; None for no mask besides the causal one.
    Returns the output [B, T, heads, d].
    """
    if not _short(query, key) or others.get("position_bias") is not None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, is_causal=is_causal, **others
        )
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    query, key, value = (states.to(torch.bfloat16) for states in (query, key, value))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    out = _products(query, *_repeated(query, key, value), _bias(query, attention_mask, causal), scale, dropout)
    return out.transpose(1, 2).contiguous(), None


def _short(query: Tensor, key: Tensor) -> bool:
    length = query.shape[2]
    cast = torch.is_autocast_enabled("cpu")
    dtype = torch.get_autocast_dtype("cpu") if cast else query.dtype  # that PyTorch's own kernel would compute in
    return query.device.type == "cpu" and dtype == torch.bfloat16 and 1 < length <= SHORT and length == key.shape[2]


def _repeated(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Return keys and values with as many heads as the queries have."""
    times = query.shape[1] // key.shape[1]
    if times == 1:
        return key, value
    return key.repeat_interleave(times, dim=1), value.repeat_interleave(times, dim=1)


def _bias(query: Tensor, mask: Tensor | None, causal: bool) -> Tensor | None:
    """Return what is added to the scores, [T, T] or [B, 1, T, T]: 0 where a position may look, minus infinity elsewhere."""
    if mask is not None:
        return torch.zeros(mask.shape, dtype=query.dtype).masked_fill_(~mask, float("-inf"))
    return _triangle(query.shape[2]) if causal else None


@cache
def _triangle(length: int) -> Tensor:
    return torch.full((length, length), float("-inf"), dtype=torch.bfloat16).triu(1)


def _products(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scale: float, dropout: float) -> Tensor:
    """Return softmax(scale q k' + bias) v, [B, heads, T, d]; the softmax adds up in float32."""
    batch, heads, length, size = query.shape
    q, k, v = (x.reshape(batch * heads, length, size) for x in (query, key, value))
    if bias is None:
        scores = torch.bmm(q * scale, k.transpose(1, 2))
    else:
        start = bias.expand(batch, heads, length, length).reshape(batch * heads, length, length)
        scores = torch.baddbmm(start, q, k.transpose(1, 2), alpha=scale)
    return torch.bmm(F.dropout(scores.softmax(-1), dropout), v).view(batch, heads, length, size)


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
