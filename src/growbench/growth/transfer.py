"""Apply maps to roles: turn the tensors of a source model into those of its target.

For each logical tensor: rows that it writes are gathered by the space's map, columns that it reads are gathered and
multiplied by the read factor, gains are gathered. The norm that feeds a tied head is multiplied by the read factor of
the residual map, because the token table is written with the factor of an embedding and cannot also be divided.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from growbench.errors import GrowBenchError
from growbench.families import Family
from growbench.families._roles import WIDENED, Axis, Part, Role, size
from growbench.growth.maps import MEAN, NEW, Layer, SpaceMap, Widening
from growbench.spec import ModelSpec


@dataclass(frozen=True, kw_only=True)
class Growth:
    """One growth, ready to be applied: shapes, maps, depth, and what new entries start from.

    tied: the head shares the token table. init_std: standard deviation of new weights. seed: of new weights and noise.
    """

    family: Family
    source: ModelSpec
    target: ModelSpec
    widening: Widening
    depth: tuple[Layer, ...]
    tied: bool
    init_std: float
    seed: int

    def __post_init__(self) -> None:
        if len(self.depth) != self.target.layers:
            raise GrowBenchError(
                f"depth map: {len(self.depth)} layers for a target of {self.target.layers}; give one entry a layer"
            )
        for t, layer in enumerate(self.depth):
            for s, _ in layer.sources:
                if not 0 <= s < self.source.layers:
                    raise GrowBenchError(
                        f"depth map: target layer {t} names source layer {s}; use 0..{self.source.layers - 1}"
                    )


Source = Mapping[str, Tensor]


def transfer(
    growth: Growth, source: Source, source_roles: Mapping[str, Role], target_roles: Mapping[str, Role]
) -> Iterator[tuple[str, Tensor]]:
    """Yield (name, tensor) for each target parameter, one at a time; nothing shares storage with the source."""
    names = {(_stem(name, role), role.layer): name for name, role in source_roles.items()}

    def read(stem: str, layer: int | None) -> Tensor:
        return source[names[stem, layer]]

    for name, role in target_roles.items():
        stem = _stem(name, role)
        origin = growth.depth[role.layer] if role.layer is not None else Layer(((-1, 1.0),))
        yield name, _tensor(growth, name, stem, role, origin, read)


def _stem(name: str, role: Role) -> str:
    """The parameter's name with its layer number taken out."""
    return name if role.layer is None else name.replace(f".{role.layer}.", ".{l}.", 1)


def _tensor(growth: Growth, name: str, stem: str, role: Role, origin: Layer, read) -> Tensor:
    total: Tensor | None = None
    for source_layer, weight in origin.sources:
        layer = None if role.layer is None else source_layer
        wide = _widened(growth, name, stem, role, layer, partial(read, stem))
        wide = wide if weight == 1.0 else wide * weight
        total = wide if total is None else total + wide
    assert total is not None
    if origin.silent and role.parts[0].kind in ("o", "fc2"):
        total = torch.zeros_like(total)
    return total


def _widened(growth: Growth, name: str, stem: str, role: Role, layer: int | None, read) -> Tensor:
    own = split(read(layer), role, growth.source)
    parts = []
    for number, (part, tensor) in enumerate(zip(role.parts, own, strict=True)):
        wide = widen_part(growth, f"{name}#{number}", stem, part, layer, tensor)
        donors = _donor_rows(growth, part, layer)
        if donors is not None and layer is not None and layer + 1 < growth.source.layers:
            above = split(read(layer + 1), role, growth.source)[number]
            wide = _replace_rows(
                part, donors, wide, widen_part(growth, f"{name}#{number}", stem, part, layer + 1, above)
            )
        parts.append(wide)
    return join(parts, role, growth.target)


def split(tensor: Tensor, role: Role, spec: ModelSpec) -> list[Tensor]:
    """Take a parameter apart into its logical tensors."""
    if len(role.parts) == 1:
        return [tensor]
    sizes = [size(part.axes[role.fused], spec) or 0 for part in role.parts]
    if role.order == "blocks":
        return list(tensor.split(sizes, dim=role.fused))
    heads = spec.kv_heads
    folded = tensor.unflatten(role.fused, (heads, -1))
    pieces = folded.split([s // heads for s in sizes], dim=role.fused + 1)
    return [piece.flatten(role.fused, role.fused + 1) for piece in pieces]


def join(parts: list[Tensor], role: Role, spec: ModelSpec) -> Tensor:
    """Undo `split`."""
    if len(parts) == 1:
        return parts[0]
    if role.order == "blocks":
        return torch.cat(parts, dim=role.fused)
    folded = [part.unflatten(role.fused, (spec.kv_heads, -1)) for part in parts]
    return torch.cat(folded, dim=role.fused + 1).flatten(role.fused, role.fused + 1)


def widen_part(growth: Growth, name: str, stem: str, part: Part, layer: int | None, tensor: Tensor) -> Tensor:
    """Widen one logical tensor along every axis that runs over a widened space."""
    widening = growth.widening
    grown = [(d, a, widening.space(a.space, layer)) for d, a in enumerate(part.axes) if a.space in WIDENED]
    wide = tensor
    for dim, axis, space in grown:
        if space.source_size != wide.shape[dim]:
            raise GrowBenchError(
                f"{name}: axis {dim} has {wide.shape[dim]} entries, its map expects {space.source_size}; check the spec"
            )
        wide = _gather(wide, dim, space, _factors(axis, space))
    wide = _couple(widening, part, grown, wide)
    wide = _noise(growth, name, part, grown, wide)
    wide = _correct(growth, stem, part, wide)
    wide = _fill(growth, name, stem, part, grown, wide)
    return wide.clone() if wide.data_ptr() == tensor.data_ptr() else wide.contiguous()


def _factors(axis: Axis, space: SpaceMap) -> np.ndarray:
    if axis.verb == "reads":
        return space.read
    return space.write if axis.verb == "writes" else np.ones(space.target_size)


def _gather(tensor: Tensor, dim: int, space: SpaceMap, factors: np.ndarray) -> Tensor:
    if space.is_identity:
        return tensor
    wide = tensor.index_select(dim, torch.from_numpy(np.maximum(space.index, 0)))
    if (space.index == MEAN).any():
        mean = tensor.mean(dim=dim, keepdim=True)
        wide = torch.where(_along(torch.from_numpy(space.index == MEAN), dim, wide.dim()), mean, wide)
    if (factors != 1).any():
        wide = wide * _along(torch.from_numpy(factors).to(wide.dtype), dim, wide.dim())
    return wide


def _along(vector: Tensor, dim: int, dims: int) -> Tensor:
    return vector.view([-1 if d == dim else 1 for d in range(dims)])


def _pair(part: Part, grown: list[tuple[int, Axis, SpaceMap]]):
    """The (writes, reads) axes of a matrix between two widened spaces, or None."""
    by_verb = {axis.verb: (dim, space) for dim, axis, space in grown}
    return (by_verb["writes"], by_verb["reads"]) if {"writes", "reads"} <= by_verb.keys() else None


def _couple(widening: Widening, part: Part, grown: list[tuple[int, Axis, SpaceMap]], wide: Tensor) -> Tensor:
    """Let copy c of a row read only copy c of its columns (block diagonal), each with the full weight."""
    pair = _pair(part, grown)
    if widening.coupling == "shared" or pair is None:
        return wide
    (row_dim, rows), (column_dim, columns) = pair
    copies = counts_of(columns)
    same = _along(torch.from_numpy(rows.copy % copies.max()), row_dim, 2) == _along(
        torch.from_numpy(columns.copy), column_dim, 2
    )
    full = _along(torch.from_numpy(1.0 / columns.read).to(wide.dtype), column_dim, 2)
    return torch.where(same, wide * full, torch.zeros((), dtype=wide.dtype))


def counts_of(space: SpaceMap) -> np.ndarray:
    """Copies of the source coordinate behind each target coordinate, [target_size]."""
    return np.bincount(np.maximum(space.index, 0), minlength=space.source_size)[np.maximum(space.index, 0)]


def _noise(growth: Growth, name: str, part: Part, grown: list[tuple[int, Axis, SpaceMap]], wide: Tensor) -> Tensor:
    """Break the symmetry of copies without changing a product: noise with sum zero over each coordinate's copies."""
    readers = [(dim, space) for dim, axis, space in grown if axis.verb == "reads" and not space.is_identity]
    if growth.widening.noise == 0 or not readers:
        return wide
    dim, space = readers[0]
    noise = torch.randn(wide.shape, generator=generator(growth.seed, name + "#noise"), dtype=wide.dtype)
    index = torch.from_numpy(np.maximum(space.index, 0))
    sums = torch.zeros([space.source_size if d == dim else n for d, n in enumerate(wide.shape)], dtype=wide.dtype)
    sums.index_add_(dim, index, noise)
    copies = _along(torch.from_numpy(counts_of(space)).to(wide.dtype), dim, wide.dim())
    noise = noise - sums.index_select(dim, index) / copies
    return wide + growth.widening.noise * wide.std() * noise


def _correct(growth: Growth, stem: str, part: Part, wide: Tensor) -> Tensor:
    """Scale queries, norm gains, and the output norm of a tied head."""
    widening = growth.widening
    if part.kind == "q" and widening.query != 1:
        wide = wide * widening.query
    if part.kind == "norm" and widening.gain != 1 and stem.endswith("weight"):
        wide = wide * widening.gain
    if growth.tied and growth.family.output_norm in stem:
        wide = wide * torch.from_numpy(np.where(widening.residual.index >= 0, widening.residual.read, 1.0)).to(
            wide.dtype
        )
    return wide


def _fill(
    growth: Growth, name: str, stem: str, part: Part, grown: list[tuple[int, Axis, SpaceMap]], wide: Tensor
) -> Tensor:
    """Put the family's random start, or zeros, wherever a coordinate has no source."""
    fresh: Tensor | None = None
    for dim, _, space in grown:
        new = torch.from_numpy(space.index == NEW)
        if not new.any():
            continue
        if fresh is None:
            fresh = initial(growth, name, stem, part, wide)
        wide = torch.where(_along(new, dim, wide.dim()), fresh, wide)
    for dim, axis, space in grown:
        new = torch.from_numpy(space.index == NEW)
        if new.any() and growth.widening.fill.rule(axis.space, axis.verb) == "zero":
            wide = wide.masked_fill(_along(new, dim, wide.dim()), 0.0)
    return wide


def initial(growth: Growth, name: str, stem: str, part: Part, like: Tensor) -> Tensor:
    """The stock start of a tensor: gains 1, shifts and biases 0, matrices and tables N(0, std^2)."""
    if part.kind == "norm":
        return torch.ones_like(like) if stem.endswith("weight") else torch.zeros_like(like)
    if like.dim() == 1:
        return torch.zeros_like(like)
    std = growth.widening.fill.std if growth.widening.fill.std is not None else growth.init_std
    return torch.randn(like.shape, generator=generator(growth.seed, name), dtype=torch.float32).to(like.dtype) * std


def generator(seed: int, name: str) -> torch.Generator:
    """A stream of random numbers of its own for each (seed, name)."""
    number = int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "big") % 2**63
    return torch.Generator().manual_seed(number)


def _donor_rows(growth: Growth, part: Part, layer: int | None) -> Tensor | None:
    """Which rows a tensor takes from the next layer: those that its written space marks (never for norms)."""
    if layer is None or part.kind == "norm":
        return None
    for axis in part.axes:
        if axis.verb == "writes" and axis.space in WIDENED:
            donor = growth.widening.space(axis.space, layer).donor
            return torch.from_numpy(donor) if donor.any() else None
    return None


def _replace_rows(part: Part, donors: Tensor, own: Tensor, above: Tensor) -> Tensor:
    dim = next(d for d, axis in enumerate(part.axes) if axis.verb == "writes")
    return torch.where(_along(donors, dim, own.dim()), above, own)


def snr_to_noise(decibel: float) -> float:
    """Noise-to-signal ratio of standard deviations for a signal-to-noise ratio in dB."""
    return math.pow(10.0, -decibel / 20.0)
