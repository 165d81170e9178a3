"""Apply maps to roles: turn the tensors of a source model into those of its target, one at a time."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from growbench.families import WIDENED, Component, Role, axis_size
from growbench.growth.component import along, cancelling, initial, widen_component
from growbench.growth.depth import Layer
from growbench.growth.experts import mixture
from growbench.growth.operator import Operator
from growbench.spec import ModelSpec

Source = Mapping[str, Tensor]
Read = Callable[[int | None], Tensor]


def transfer(
    operator: Operator, source: Source, source_roles: Mapping[str, Role], target_roles: Mapping[str, Role]
) -> Iterator[tuple[str, Tensor]]:
    """Yield (name, tensor) for each target parameter, one at a time. No tensor shares storage with the source."""
    if operator.mixing is not None:
        yield from mixture(operator, source, target_roles)
        return
    for name, role, origin, read in origins(operator, source, source_roles, target_roles):
        yield name, _tensor(operator, name, role, origin, read)


def origins(
    operator: Operator, source: Source, source_roles: Mapping[str, Role], target_roles: Mapping[str, Role]
) -> Iterator[tuple[str, Role, Layer, Read]]:
    """Yield name, role, origin of the layer and a reader of source layers for each target parameter."""
    names = places(operator, source_roles)

    def read(name: str, layer: int | None) -> Tensor:
        return source[names[name, layer]]

    for name, role in target_roles.items():
        origin = operator.depth[role.layer] if role.layer is not None else Layer(((-1, 1.0),))
        yield name, role, origin, partial(read, stem(name, role))


def places(operator: Operator, source_roles: Mapping[str, Role]) -> dict[tuple[str, int | None], str]:
    """Return the name of each source parameter by its stem and layer; of one that a layer lacks, its stand-in's."""
    names = {(stem(name, role), role.layer): name for name, role in source_roles.items()}
    for ending, other in operator.family.stand_ins.items():
        for name in [name for name in source_roles if f".{name}".endswith(f".{other}")]:
            for layer in range(operator.source.layers):
                names.setdefault((name.removesuffix(other) + ending, layer), name)
    return names


def stem(name: str, role: Role) -> str:
    """Return the parameter's name with its layer number replaced by a placeholder."""
    return name if role.layer is None else name.replace(f".{role.layer}.", ".{l}.", 1)


def blended(origin: Layer, role: Role, one: Callable[[int | None], Tensor]) -> Tensor:
    """Return the weighted sum of `one(source layer)` over the layers that a target layer comes from."""
    total: Tensor | None = None
    for source_layer, weight in origin.sources:
        wide = one(None if role.layer is None else source_layer)
        wide = wide if weight == 1.0 else wide * weight
        total = wide if total is None else total + wide
    assert total is not None
    return total


def fresh(origin: Layer, role: Role) -> bool:
    """Whether a tensor of this layer starts from random weights: all of a fresh layer except its norms."""
    return origin.fresh and not role.kind.startswith("norm")


def _tensor(operator: Operator, name: str, role: Role, origin: Layer, read: Read) -> Tensor:
    wide = blended(origin, role, lambda layer: _widened(operator, name, role, layer, read))
    if fresh(origin, role):
        pieces = zip(role.components, split(wide, role, operator.target), strict=True)
        wide = join([initial(operator, f"{name}#{n}", *piece) for n, piece in enumerate(pieces)], role, operator.target)
    if origin.silent and operator.silences(role.kind):
        if role.kind == "norm_branch":
            return torch.full_like(wide, -operator.family.norm_offset)
        if origin.cancel:
            return cancelling(operator, f"{name}#0", role.components[0], origin.sources[0][0], wide)
        return torch.zeros_like(wide)
    return wide


def _widened(operator: Operator, name: str, role: Role, layer: int | None, read: Read) -> Tensor:
    tensor = read(layer)
    if role.layer is not None and operator.passes_on(role.layer, role.kind):
        tensor = torch.ones_like(tensor) if name.endswith("weight") else torch.zeros_like(tensor)
    components = []
    for number, (component, piece) in enumerate(
        zip(role.components, split(tensor, role, operator.source), strict=True)
    ):
        wide = widen_component(operator, f"{name}#{number}", component, layer, piece)
        donors = donor_rows(operator, role, component, layer)
        if donors is not None and layer is not None and layer + 1 < operator.source.layers:
            above = split(read(layer + 1), role, operator.source)[number]
            wide = replace_rows(
                component, donors, wide, widen_component(operator, f"{name}#{number}", component, layer + 1, above)
            )
        components.append(wide)
    return join(components, role, operator.target)


def split(tensor: Tensor, role: Role, spec: ModelSpec) -> list[Tensor]:
    """Split a parameter into its logical tensors."""
    if len(role.components) == 1:
        return [tensor]
    sizes = [axis_size(component.axes[role.fused], spec) or 0 for component in role.components]
    if role.order == "blocks":
        return list(tensor.split(sizes, dim=role.fused))
    heads = spec.kv_heads
    folded = tensor.unflatten(role.fused, (heads, -1))
    pieces = folded.split([s // heads for s in sizes], dim=role.fused + 1)
    return [piece.flatten(role.fused, role.fused + 1) for piece in pieces]


def join(components: list[Tensor], role: Role, spec: ModelSpec) -> Tensor:
    """Join logical tensors into a parameter: the inverse of `split`."""
    if len(components) == 1:
        return components[0]
    if role.order == "blocks":
        return torch.cat(components, dim=role.fused)
    folded = [component.unflatten(role.fused, (spec.kv_heads, -1)) for component in components]
    return torch.cat(folded, dim=role.fused + 1).flatten(role.fused, role.fused + 1)


def donor_rows(operator: Operator, role: Role, component: Component, layer: int | None) -> np.ndarray | None:
    """Return which rows a tensor takes from the next layer; None for no rows. Norms never take any."""
    if layer is None or role.layer is None or component.kind.startswith("norm"):
        return None
    for axis in component.axes:
        if axis.verb == "writes" and axis.space in WIDENED:
            space = operator.widening.space(axis.space, layer)
            above = operator.depth[role.layer].above and axis.space != "residual"
            donor = space.with_donors().donor if above else space.donor
            return donor if donor.any() else None
    return None


def replace_rows(component: Component, donors: np.ndarray, here: Tensor, above: Tensor) -> Tensor:
    """Return the marked rows of `above`, and the other rows of `here`."""
    dim = next(d for d, axis in enumerate(component.axes) if axis.verb == "writes")
    return torch.where(along(donors, dim, here), above, here)
