"""Train a part of a model: lower layers run forward without a graph, the top ones and the head learn.

A part of depth d and top n runs the first d layers; the lower d - n of them, and the embeddings, under no_grad. What has
no gradient keeps its bits and gets no moments. A head that shares the token table trains it as head only.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn


@dataclass(frozen=True, slots=True)
class Part:
    """depth: layers that run. top: how many of them, from the top, learn."""

    depth: int
    top: int


@contextmanager
def only(model: nn.Module, layers: str, part: Part) -> Iterator[None]:
    """Let a forward pass run a part. layers: module path of the model's list of layers, e.g. `bert.encoder.layer`."""
    whole = model.get_submodule(layers)
    assert isinstance(whole, nn.ModuleList)
    parent, _, name = layers.rpartition(".")
    handle = None
    try:
        if part.depth < len(whole):
            setattr(model.get_submodule(parent), name, whole[: part.depth])
        if part.top < part.depth:
            handle = whole[part.depth - part.top].register_forward_pre_hook(_enable)
            torch.set_grad_enabled(False)
        yield
    finally:
        torch.set_grad_enabled(True)
        if handle is not None:
            handle.remove()
        setattr(model.get_submodule(parent), name, whole)


def _enable(module: nn.Module, args: tuple[object, ...]) -> None:
    torch.set_grad_enabled(True)


def drawn(parts: Sequence[Part], seed: int, step: int) -> Part:
    """The part of a step: each once in every `len(parts)` steps, in an order drawn from (seed, round)."""
    if len(parts) == 1:
        return parts[0]
    turn, place = divmod(step, len(parts))
    return parts[int(np.random.default_rng([seed, turn, 0x70617274]).permutation(len(parts))[place])]
