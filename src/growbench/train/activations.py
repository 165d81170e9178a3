"""GELU in one kernel: the stock GPT-2 writes its tanh form as eight operations, and PyTorch has it as one."""

from torch import nn
from transformers.activations import GELUTanh, NewGELUActivation


def fuse(model: nn.Module) -> None:
    """Replace every activation that is the tanh form of GELU by PyTorch's kernel for it, in place.

    The function is the same up to rounding. Activations have no parameters, and the config keeps its name for them.
    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, NewGELUActivation):
                setattr(module, name, GELUTanh())
