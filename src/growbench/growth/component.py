"""Widen one logical tensor: gather it along its axes, then correct, break symmetry and fill.

Rows that a tensor writes are gathered by their space's map. Columns that it reads are gathered and multiplied by the
read factor. Gains are gathered. The norm that feeds a tied head is multiplied by the read factor of the residual map,
because the token table has the factor of an embedding and cannot also be divided. Where the stock model multiplies
embeddings by a number that depends on its width, the token table is divided by the ratio, and that norm multiplied by it.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from growbench.errors import GrowBenchError
from growbench.families import WIDENED, Axis, Component
from growbench.growth.maps import NEUTRAL, NEW, SpaceMap, counts
from growbench.growth.operator import Operator

RUN = 32  # coordinates in a row, on average, from which copying them together is cheaper than one by one
Grown = Sequence[tuple[int, Axis, SpaceMap]]


def widen_component(operator: Operator, name: str, component: Component, layer: int | None, tensor: Tensor) -> Tensor:
    """Widen one logical tensor of source layer `layer` (None outside the layers) along every axis of a widened space.

    name: of the target parameter, with the component's number after `#`. The result shares no storage with `tensor`.
    """
    grown = grown_axes(operator, component, layer)
    wide = tensor
    for dim, axis, space in grown:
        if space.source_size != wide.shape[dim]:
            raise GrowBenchError(
                f"{name}: axis {dim} has {wide.shape[dim]} entries, but its map expects {space.source_size}; check the spec"
            )
        wide = _gather(operator, wide, dim, axis, space)
    wide = _couple(operator, grown, wide)
    wide = _noise(operator, name, grown, wide)
    wide = _correct(operator, name, component, wide)
    wide = _fill(operator, name, component, grown, wide)
    return wide.clone() if wide.data_ptr() == tensor.data_ptr() else wide.contiguous()


def grown_axes(operator: Operator, component: Component, layer: int | None) -> list[tuple[int, Axis, SpaceMap]]:
    """Return the axes of a component that run over widened spaces, each with its map."""
    return [(d, a, operator.widening.space(a.space, layer)) for d, a in enumerate(component.axes) if a.space in WIDENED]


def along(vector: np.ndarray | Tensor, dim: int, like: Tensor) -> Tensor:
    """Return a vector laid along one axis of a tensor, to be broadcast over the others, in the tensor's type."""
    made = torch.from_numpy(vector) if isinstance(vector, np.ndarray) else vector
    made = made.to(like.dtype) if made.is_floating_point() else made
    return made.view([-1 if d == dim else 1 for d in range(like.dim())])


def factors_of(axis: Axis, space: SpaceMap) -> np.ndarray:
    """Return what entries along an axis are multiplied by when they are copied, [n], or [1] for all alike."""
    return {"reads": space.read, "writes": space.write}.get(axis.verb, np.ones(1))


def gather(tensor: Tensor, dim: int, space: SpaceMap) -> Tensor:
    """Copy entries along one axis. A coordinate without a source takes entry 0, which is overwritten later."""
    index = np.maximum(space.index, 0)
    begins = np.concatenate([[0], np.flatnonzero(np.diff(index) != 1) + 1])
    if len(index) < RUN * len(begins):
        return tensor.index_select(dim, torch.from_numpy(index))
    ends = np.append(begins[1:], len(index))
    runs = zip(index[begins].tolist(), (ends - begins).tolist(), strict=True)
    return torch.cat([tensor.narrow(dim, first, length) for first, length in runs], dim)


def _gather(operator: Operator, tensor: Tensor, dim: int, axis: Axis, space: SpaceMap) -> Tensor:
    if space.is_identity:
        return tensor
    factors = factors_of(axis, space)
    if len(factors) and (factors == factors[0]).all() and (space.index >= 0).all():
        small = tensor if factors[0] == 1 else tensor * torch.tensor(factors[0], dtype=tensor.dtype)
        return gather(small, dim, space)
    wide = gather(tensor, dim, space)
    if (space.index == NEUTRAL).any():
        layer_norm = operator.family.norm == "layer"
        level = tensor.mean(dim=dim, keepdim=True) if layer_norm else torch.zeros((), dtype=tensor.dtype)
        wide = torch.where(along(space.index == NEUTRAL, dim, wide), level, wide)
    return wide if (factors == 1).all() else wide.mul_(along(factors, dim, wide))


def _couple(operator: Operator, grown: Grown, wide: Tensor) -> Tensor:
    """Make copy c of a row read only copy c of its columns (block diagonal), each with the full weight."""
    by_verb = {axis.verb: (dim, space) for dim, axis, space in grown}
    if operator.widening.coupling == "shared" or not {"writes", "reads"} <= by_verb.keys():
        return wide
    (row_dim, rows), (column_dim, columns) = by_verb["writes"], by_verb["reads"]
    copies = counts_of(columns)
    same = along(rows.copy % copies.max(), row_dim, wide) == along(columns.copy, column_dim, wide)
    return torch.where(same, wide * along(1.0 / columns.read, column_dim, wide), torch.zeros((), dtype=wide.dtype))


def counts_of(space: SpaceMap) -> np.ndarray:
    """Return how many copies the source of each target coordinate has, [target_size]; 1 without a source."""
    return np.where(space.index >= 0, counts(space.index, space.source_size)[np.maximum(space.index, 0)], 1)


def _noise(operator: Operator, name: str, grown: Grown, wide: Tensor) -> Tensor:
    """Break the symmetry of copies without changing a product: the noise sums to zero over each coordinate's copies."""
    readers = [(dim, space) for dim, axis, space in grown if axis.verb == "reads" and not space.is_identity]
    if operator.widening.noise == 0 or not readers:
        return wide
    dim, space = readers[0]
    noise = torch.randn(wide.shape, generator=generator(operator.seed, name + "#noise"), dtype=wide.dtype)
    noise = noise.masked_fill(along(space.index < 0, dim, wide), 0.0)
    copies = counts_of(space).astype(np.float64)
    if operator.widening.fanout == "comp":
        return _complement(wide, operator.widening.noise * operator.init_std * noise, dim, space)
    if operator.widening.fanout == "projection":
        return wide + operator.widening.noise * operator.init_std * centered(noise, dim, space)
    # After its mean over n copies is subtracted, noise has 1 - 1 / n of its energy.
    restored = np.where(copies > 1, np.sqrt(copies / np.maximum(copies - 1, 1)), 0.0)
    return wide + operator.widening.noise * wide.std() * (centered(noise, dim, space) * along(restored, dim, wide))


def centered(values: Tensor, dim: int, space: SpaceMap) -> Tensor:
    """Return values along one axis less their mean over the copies of the same source coordinate."""
    copies = counts_of(space).astype(np.float64)
    return values - _over_copies(values, dim, space) / along(copies, dim, values)


def _over_copies(values: Tensor, dim: int, space: SpaceMap) -> Tensor:
    """Return, for each entry along one axis, the sum over the copies of the same source coordinate."""
    index = torch.from_numpy(np.maximum(space.index, 0))
    sums = torch.zeros([space.source_size if d == dim else n for d, n in enumerate(values.shape)], dtype=values.dtype)
    return sums.index_add_(dim, index, values).index_select(dim, index)


def _complement(wide: Tensor, drawn: Tensor, dim: int, space: SpaceMap) -> Tensor:
    """Return what copies are read with if all but the first have a drawn weight, and the first one has the rest."""
    first = along((space.copy == 0) & (space.index >= 0), dim, wide)
    drawn = drawn.masked_fill(first, 0.0)
    rest = wide * along(counts_of(space).astype(np.float64), dim, wide) - _over_copies(drawn, dim, space)
    return torch.where(first, rest, drawn)


def _correct(operator: Operator, name: str, component: Component, wide: Tensor) -> Tensor:
    """Scale queries, embeddings, gains over the residual, and the output norm of a tied head."""
    widening, space = operator.widening, operator.widening.residual
    if component.kind == "q" and widening.query != 1:
        wide = wide * widening.query
    if component.kind == "embedding" and operator.embedding != 1:
        wide = wide * operator.embedding
    if not over_residual(component):
        return wide
    if _stem(name).endswith("weight"):
        wide = _gained(operator, wide, widening.statistics.get(operator.family.norm, 1.0) ** 0.5)
    else:
        wide = wide.masked_fill(along(space.index == NEUTRAL, 0, wide), 0.0)
    if feeds_tied_head(operator, name):
        wide = _gained(operator, wide, np.where(space.index >= 0, space.read, 1.0) / operator.embedding)
    return wide


def over_residual(component: Component) -> bool:
    """Whether a component is the gain or the shift of a norm over the residual."""
    return component.kind.startswith("norm") and component.axes[0].space == "residual"


def _gained(operator: Operator, stored: Tensor, factor: np.ndarray | float) -> Tensor:
    """Return what is stored for gains [n] that are multiplied by factors; the stock norm adds an offset to what is stored."""
    offset = operator.family.norm_offset
    gain = stored.double() + offset if offset else stored
    gain = gain * (along(factor, 0, gain) if isinstance(factor, np.ndarray) else factor)
    return (gain - offset).to(stored.dtype) if offset else gain


def feeds_tied_head(operator: Operator, name: str) -> bool:
    """Whether this parameter belongs to the norm whose output a tied head reads."""
    prefix = _stem(name).rpartition(".")[0]
    end = operator.output_norm
    return operator.tied and end is not None and (prefix == end or prefix.endswith("." + end))


def _stem(name: str) -> str:
    return name.partition("#")[0]


def _fill(operator: Operator, name: str, component: Component, grown: Grown, wide: Tensor) -> Tensor:
    """Put the family's random start, or the fill that the widening asks for, wherever a coordinate has no source.

    NEUTRAL coordinates are read with random weights. They are zero behind a norm, so that products do not change but
    gradients flow.
    """
    fresh = wide
    for dim, axis, space in grown:
        unread = NEUTRAL if axis.verb == "reads" else NEW
        new = (space.index == NEW) | (space.index == unread)
        if not new.any():
            continue
        if fresh is wide:
            fresh = initial(operator, name, component, wide)
            if axis.verb == "reads" and operator.widening.fanout != "equal":
                fresh = fresh * operator.widening.noise
        wide = torch.where(along(new, dim, wide), fresh, wide)
    rules = [(operator.widening.fill.std(axis.space, axis.verb), dim, space) for dim, axis, space in grown]
    asked = [(std, along(space.index == NEW, dim, wide)) for std, dim, space in rules if std is not None]
    for std, new in sorted(asked, key=lambda rule: -rule[0]):
        if new.any() and wide.dim() > 1:
            wide = torch.where(new, std * _normal(operator, name, wide) if std else torch.zeros_like(wide), wide)
    return wide


def cancelling(operator: Operator, name: str, component: Component, layer: int | None, like: Tensor) -> Tensor:
    """Return a random start whose sum over the copies of each coordinate that it reads is zero; biases are zero."""
    start = initial(operator, name, component, like)
    for dim, axis, space in grown_axes(operator, component, layer):
        if axis.verb == "reads":
            start = centered(start, dim, space)
    return start


def initial(operator: Operator, name: str, component: Component, like: Tensor) -> Tensor:
    """Return the stock start of a tensor: gains 1, shifts and biases 0, matrices and tables N(0, std^2)."""
    if component.kind.startswith("norm"):
        gain = 1.0 - operator.family.norm_offset
        return torch.full_like(like, gain) if _stem(name).endswith("weight") else torch.zeros_like(like)
    return torch.zeros_like(like) if like.dim() == 1 else _normal(operator, name, like) * operator.init_std


def _normal(operator: Operator, name: str, like: Tensor) -> Tensor:
    return torch.randn(like.shape, generator=generator(operator.seed, name), dtype=torch.float32).to(like.dtype)


def generator(seed: int, name: str) -> torch.Generator:
    """Return a separate stream of random numbers for each (seed, name)."""
    number = int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "big") % 2**63
    return torch.Generator().manual_seed(number)
