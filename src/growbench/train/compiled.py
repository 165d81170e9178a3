"""torch.compile where the loop runs a model: layer by layer, since it calls the trunk and the head and never the whole model.

Equal layers share one compilation, so that it takes seconds whatever the depth; a part of the layers (train/variants/submodel.py) runs
as it does without.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


def compiled(model: nn.Module, layers: str, backend: str | Callable[..., Any] = "inductor") -> nn.Module:
    """Compile every layer in place and return the model; nothing happens before the first step.

    layers: module path of the model's list of layers. What was compiled before, for an earlier stage, is forgotten.
    """
    torch.compiler.reset()
    blocks = model.get_submodule(layers)
    assert isinstance(blocks, nn.ModuleList)
    for block in blocks:
        block.compile(backend=backend, dynamic=False)
    return model
