"""torch.compile, layer by layer, because the loop calls the backbone and the head and never the whole model.

Equal layers share one compilation, so that compiling takes seconds at any depth. Sub-models
(train/variants/submodel.py) run as they do without it.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


def compiled(model: nn.Module, layers: str, backend: str | Callable[..., Any] = "inductor") -> nn.Module:
    """Mark every layer for compilation, in place, and return the model; compiling happens in the first step.

    layers: module path of the model's list of layers. Code compiled for an earlier stage is dropped.
    """
    torch.compiler.reset()
    blocks = model.get_submodule(layers)
    assert isinstance(blocks, nn.ModuleList)
    for block in blocks:
        block.compile(backend=backend, dynamic=False)
    return model
