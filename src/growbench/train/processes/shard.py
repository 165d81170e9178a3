"""Parameters, gradients and moments split over processes (FSDP2), for models that do not fit on one device.

Every layer is gathered before it runs and let go after it. What no layer holds (embeddings, norms, head) hangs on `Root`,
because the loop runs trunk and head one after the other and never the model's own forward.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from growbench.train.processes.ranks import Ranks

COPIES = 4  # weights, gradients and two moments
ROOM = 0.5  # share of a device's memory that they may take; activations need the rest


class Root(nn.Module):
    """Runs what it is given, between gathering and letting go of the parameters that no layer holds."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, run: Callable[[], Tensor]) -> Tensor:
        return run()


def wanted(choice: str, model: nn.Module, ranks: Ranks, device: torch.device) -> bool:
    """Whether to shard. choice: never, always, or auto: where weights, gradients and moments are too much for a GPU."""
    if choice == "never" or not ranks.together:
        return False
    if choice == "always":
        return True
    if device.type != "cuda":
        return False
    needed = COPIES * sum(p.numel() * p.element_size() for p in model.parameters())
    return needed > ROOM * torch.cuda.get_device_properties(device).total_memory


def shard(model: nn.Module, layers: str, ranks: Ranks, device: torch.device) -> Root:
    """Split a model over all processes, in place. layers: module path of its list of layers."""
    mesh = init_device_mesh(device.type, (ranks.count,))
    blocks = model.get_submodule(layers)
    assert isinstance(blocks, nn.ModuleList)
    for block in blocks:
        fully_shard(block, mesh=mesh, reshard_after_forward=True)
    root = Root(model)
    fully_shard(root, mesh=mesh, reshard_after_forward=True)
    return root


def like(values: Tensor, parameter: Tensor) -> Tensor:
    """A copy of whole or split values on the parameter's device, split as the parameter is."""
    if not isinstance(parameter, DTensor) or isinstance(values, DTensor) or values.dim() == 0:
        return values.to(parameter.device, copy=True)
    whole = values.to(parameter.device)
    return distribute_tensor(whole, parameter.device_mesh, parameter.placements, src_data_rank=None)


def gathered(tensors: dict[str, Tensor], keep: bool = True) -> dict[str, Tensor]:
    """Whole tensors on the CPU, put together one at a time; all processes must call this. keep: False returns nothing."""
    if not any(isinstance(values, DTensor) for values in tensors.values()):
        return tensors
    whole: dict[str, Tensor] = {}
    for name, values in tensors.items():
        full = values.full_tensor() if isinstance(values, DTensor) else values
        if keep:
            whole[name] = full.cpu()
    return whole


def clip(parameters: list[Any], most: float) -> None:
    """Scale gradients so that their global norm is at most `most`, split or not."""
    if not isinstance(parameters[0], DTensor):
        nn.utils.clip_grad_norm_(parameters, most, foreach=True)
        return
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None], foreach=True)
    whole = norm.full_tensor() if isinstance(norm, DTensor) else norm
    nn.utils.clip_grads_with_norm_(parameters, most, whole, foreach=True)
