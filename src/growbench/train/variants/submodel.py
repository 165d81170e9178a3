"""Train a sub-model: lower layers run forward without a graph; the top layers and the head learn.

A sub-model of depth d and top n runs the first d layers; the lower d - n of them, and the embeddings, under no_grad.
Parameters without a gradient do not change and get no moments. A head that shares the token table trains it as head
only.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn


@dataclass(frozen=True, slots=True)
class SubModel:
    """The layers that run and learn in a step.

    depth: layers that run.
    top: how many of them, counted from the top, learn.
    """

    depth: int
    top: int


@contextmanager
def only(model: nn.Module, layers: str, submodel: SubModel) -> Iterator[None]:
    """Make forward passes run a sub-model. layers: module path of the list of layers, e.g. `bert.encoder.layer`."""
    stock = model.get_submodule(layers)
    assert isinstance(stock, nn.ModuleList)
    parent, _, name = layers.rpartition(".")
    handle = None
    try:
        if submodel.depth < len(stock):
            setattr(model.get_submodule(parent), name, stock[: submodel.depth])
        if submodel.top < submodel.depth:
            handle = stock[submodel.depth - submodel.top].register_forward_pre_hook(_enable)
            torch.set_grad_enabled(False)
        yield
    finally:
        torch.set_grad_enabled(True)
        if handle is not None:
            handle.remove()
        setattr(model.get_submodule(parent), name, stock)


def _enable(module: nn.Module, args: tuple[object, ...]) -> None:
    torch.set_grad_enabled(True)


def drawn(submodels: Sequence[SubModel], seed: int, step: int) -> SubModel:
    """Return the sub-model of a step: each once per `len(submodels)` steps, in an order drawn from (seed, round)."""
    if len(submodels) == 1:
        return submodels[0]
    turn, place = divmod(step, len(submodels))
    return submodels[int(np.random.default_rng([seed, turn, 0x70617274]).permutation(len(submodels))[place])]
