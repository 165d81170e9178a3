"""AdamW as every model here is trained with it."""

import torch
from torch import nn

from growbench.errors import GrowBenchError


def adamw(model: nn.Module, *, betas: tuple[float, float], weight_decay: float, lr: float = 0.0) -> torch.optim.AdamW:
    """Return AdamW over the trainable parameters; biases, norms and other vectors are not decayed.

    lr: until `set_lr` sets another. Raises GrowBenchError if no parameter is trainable.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trainable:
        raise GrowBenchError("plan: a stage in which nothing is trainable; leave at least one parameter free")
    groups = [
        {"params": [p for p in trainable if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=1e-8, fused=True)


def set_lr(opt: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of the next step."""
    for group in opt.param_groups:
        group["lr"] = lr
