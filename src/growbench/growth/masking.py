"""Masks over what growing added: 0 hides it from the function, 1 is the stock model (MSG, section 3; arXiv 2305.02869).

With m the mask (1 on old coordinates, a number between 0 and 1 on new ones) a model computes

    norms              m * y instead of y
    norm statistics    mean = sum m_j x_j / sum m_j,    var = sum m_j (x_j - mean)^2 / sum m_j    (LayerNorm; RMS alike)
    added layers       x + m (layer(x) - x)

and, by what Widening.masks says,

    outputs            o, fc2 read m * h instead of h; writers have m * y instead of y on the residual stream
    projections        q, k, v, fc1 have m * y instead of y, before the activation (the authors' code)

so that at 0 it is the source, whatever the new entries are. Under `projections` that needs an activation that maps 0 to 0;
writers need no mask, because a norm is what reads the stream next. Masks are hooks: the parameters are those of the
stock model.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from growbench.families import Axis, Role, layers_path, resolve
from growbench.growth.maps import NEW
from growbench.growth.operator import Operator
from growbench.growth.transfer import join

INNER = ("heads", "kv_heads", "ffn")


class Masks:
    """Hooks on a grown model. With `set(0.0)` it computes the source's function; `remove()` leaves the stock model."""

    def __init__(self, operator: Operator, model: nn.Module, roles: dict[str, Role]) -> None:
        self.share = 0.0
        self.operator = operator
        self.handles: list[Any] = []
        self.projections = operator.widening.masks == "projections"
        normed = [r.layer is None for r in roles.values() if r.kind == "norm"]
        self.bare = False not in normed if operator.pre_norm else True not in normed  # no norm reads the embeddings
        table, names = operator.family.table(model.config), dict(model.named_parameters(remove_duplicate=False))
        for name, role in resolve(table, names, operator.family.name).items():  # under each of a tied tensor's names
            if name.endswith("weight"):
                self._hook(model.get_submodule(name.rpartition(".")[0]), role)
        for number, layer in enumerate(operator.depth):
            if layer.masked:
                self._hook_layer(model.get_submodule(f"{layers_path(roles)}.{number}"))

    def set(self, share: float) -> None:
        """Let this share of what was added, from 0 to 1, take effect."""
        self.share = share

    def remove(self) -> None:
        """Remove all masks."""
        for handle in self.handles:
            handle.remove()
        self.handles.clear()

    def _hook(self, module: nn.Module, role: Role) -> None:
        for axis in role.components[0].axes:
            if axis.space not in ("residual", *INNER) or not (new := self._new(axis, role)).any():
                continue
            if axis.verb == "scales":
                self.handles.append(module.register_forward_hook(self._on_norm(new)))
            elif axis.verb == "reads" and axis.space in INNER and not self.projections:
                self.handles.append(module.register_forward_pre_hook(self._on_input(new)))
            elif axis.verb == "writes" and self._masks_output(axis, module, role):
                self.handles.append(module.register_forward_hook(self._on_output(new)))

    def _masks_output(self, axis: Axis, module: nn.Module, role: Role) -> bool:
        if axis.space == "residual" and not self.projections:
            return not isinstance(module, nn.Conv2d)
        return self.projections and (axis.space in INNER or (self.bare and role.kind == "embedding"))

    def _new(self, axis: Axis, role: Role) -> Tensor:
        """Return which entries along an axis are new; along the axis of fused components, of all of them."""
        layer = None if role.layer is None else self.operator.depth[role.layer].sources[0][0]
        one = len(role.components) == 1 or axis.verb != "writes"
        axes = [axis] if one else [component.axes[role.fused] for component in role.components]
        new = [torch.from_numpy(self.operator.widening.space(of.space, layer).index == NEW) for of in axes]
        return new[0] if one else join(new, replace(role, fused=0), self.operator.target)

    def _mask(self, new: Tensor, like: Tensor) -> Tensor:
        return torch.where(new.to(like.device), self.share, 1.0).to(like.dtype)

    def _on_input(self, new: Tensor) -> Callable[..., Any]:
        return lambda module, args: (args[0] * self._mask(new, args[0]), *args[1:])

    def _on_output(self, new: Tensor) -> Callable[..., Any]:
        return lambda module, args, out: out * self._mask(new, out)

    def _on_norm(self, new: Tensor) -> Callable[..., Any]:
        def hook(module: Any, args: tuple[Tensor, ...], out: Tensor) -> Tensor:
            mask = self._mask(new, args[0])
            family = self.operator.family
            return masked_norm(args[0], module, mask, layer_norm=family.norm == "layer", offset=family.norm_offset)

        return hook

    def _hook_layer(self, layer: nn.Module) -> None:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Any:
            start = args[0] if args else kwargs["hidden_states"]
            if isinstance(out, tuple):
                return (torch.lerp(start, out[0], self.share), *out[1:])
            return torch.lerp(start, out, self.share)

        self.handles.append(layer.register_forward_hook(hook, with_kwargs=True))


def masked_norm(x: Tensor, module: Any, mask: Tensor, *, layer_norm: bool, offset: float = 0.0) -> Tensor:
    """Return LayerNorm or RMSNorm of x [..., hidden], times the mask [hidden], which also weights the statistics.

    offset: what the norm adds to its stored gain.
    """
    total = mask.sum()
    eps = module.eps if hasattr(module, "eps") else module.variance_epsilon
    if layer_norm:
        x = x - (x * mask).sum(-1, keepdim=True) / total
    gain = module.weight + offset if offset else module.weight
    out = x * torch.rsqrt((x * x * mask).sum(-1, keepdim=True) / total + eps) * gain
    bias = getattr(module, "bias", None)
    return (out if bias is None else out + bias) * mask


def ramp(spent: float, start: float, length: float) -> float:
    """Return the mask at `spent`: it rises from 0 at `start` to 1 over `length`. All are shares of the budget."""
    return 1.0 if length <= 0 else float(np.clip((spent - start) / length, 0.0, 1.0))
