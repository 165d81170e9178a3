"""Parameters, gradients and moments split over processes (FSDP2), for models that do not fit on one device.

Every layer is gathered before it runs and freed after it. Parameters outside the layers (embeddings, norms, head)
belong to `Root`, because the loop calls backbone and head one after the other and never the model's own forward.
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
ROOM = 0.5  # share of a device's memory for them; activations need the rest


class Root(nn.Module):
    """Gathers the parameters outside the layers, runs a function, and frees them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, run: Callable[[], Tensor]) -> Tensor:
        return run()


def wanted(choice: str, model: nn.Module, ranks: Ranks, device: torch.device) -> bool:
    """Return whether to split a model.

    choice: never, always, or auto, which splits if weights, gradients and moments do not fit on one GPU.
    """
    if choice == "never" or not ranks.together:
        return False
    if choice == "always":
        return True
    if device.type != "cuda":
        return False
    needed = COPIES * sum(p.numel() * p.element_size() for p in model.parameters())
    return needed > ROOM * torch.cuda.get_device_properties(device).total_memory


def shard(model: nn.Module, layers: str, ranks: Ranks, device: torch.device) -> Root:
    """Split a model over all processes, in place, and return its root. layers: module path of its list of layers."""
    mesh = init_device_mesh(device.type, (ranks.count,))
    blocks = model.get_submodule(layers)
    assert isinstance(blocks, nn.ModuleList)
    for block in blocks:
        fully_shard(block, mesh=mesh, reshard_after_forward=True)
    root = Root(model)
    fully_shard(root, mesh=mesh, reshard_after_forward=True)
    return root


def like(values: Tensor, parameter: Tensor) -> Tensor:
    """Return a copy of the values on the parameter's device, split as the parameter is."""
    if not isinstance(parameter, DTensor) or isinstance(values, DTensor) or values.dim() == 0:
        return values.to(parameter.device, copy=True)
    whole = values.to(parameter.device)
    return distribute_tensor(whole, parameter.device_mesh, parameter.placements, src_data_rank=None)


def room(size: torch.Size, dtype: torch.dtype, parameter: Tensor) -> Tensor:
    """Return an uninitialized tensor on the parameter's device, split as the parameter is if it has the parameter's size."""
    if size == parameter.size():
        return torch.empty_like(parameter.detach(), dtype=dtype)
    return torch.empty(size, dtype=dtype, device=parameter.device)


def local(tensor: Tensor) -> Tensor:
    """Return this process's part of a tensor, which is all of it if it is not split."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def gathered(tensors: dict[str, Tensor], keep: bool = True) -> dict[str, Tensor]:
    """Return whole tensors on the CPU, gathered one at a time; every process must call this.

    keep: whether this process needs them; if not, it returns none of them.
    """
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
