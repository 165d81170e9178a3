"""Widening: every map of one growth, and what stands where a tensor has no source."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from growbench.growth import maps
from growbench.growth.maps import Draw, Ints, SpaceMap
from growbench.spec import ModelSpec, Norm


@dataclass(frozen=True, kw_only=True)
class Fill:
    """What stands where a tensor meets a NEW coordinate: N(0, std^2) per (space, verb), or the family's own start.

    rules: std of the cells whose axis (space, verb) is NEW; 0 makes them zero, and zero wins over any other rule.
    """

    rules: dict[tuple[str, str], float] = field(default_factory=dict)

    def std(self, space: str, verb: str) -> float | None:
        """Standard deviation asked for; None leaves the family's own start."""
        return self.rules.get((space, verb))


@dataclass(frozen=True, kw_only=True)
class Widening:
    """Every map of one growth: residual for the whole network, the others per source layer.

    fill: see Fill. coupling: copies read all copies (`shared`) or only their own (`diagonal`). noise: share of a
    tensor's standard deviation added to the copies that a reader reads, with sum zero over the copies of one source
    coordinate, so that products are kept. statistics: per kind of norm, the share of the target's sum of squares (about
    the mean, or about zero) that the source's would be, D_s / D_t after padding; gains take its root, epsilon the share
    itself. query: factor on queries (wider heads).
    """

    residual: SpaceMap
    heads: tuple[SpaceMap, ...]
    kv_heads: tuple[SpaceMap, ...]
    ffn: tuple[SpaceMap, ...]
    fill: Fill = Fill()
    coupling: Literal["shared", "diagonal"] = "shared"
    noise: float = 0.0
    statistics: Mapping[Norm, float] = field(default_factory=dict)
    query: float = 1.0

    def space(self, name: str, layer: int | None) -> SpaceMap:
        """Return the map of a space in a source layer; whatever lies outside the layers is residual."""
        if name == "residual" or layer is None:
            return self.residual
        return getattr(self, name)[layer]


def widen(source: ModelSpec, target: ModelSpec, draw: Draw, rng: np.random.Generator) -> Widening:
    """Draw one residual map for the whole network, and head and FFN maps per source layer; heads are copied whole."""
    maps.require_same_head_size(source, target)
    residual = maps.from_index(maps.draw_index(source.hidden, target.hidden, draw, rng), source.hidden)
    heads, kv_heads, ffn = [], [], []
    for _ in range(source.layers):
        head_index, kv_index = maps.head_indices(source, target, draw, rng)
        heads.append(_head_map(head_index, source.heads, source.head_size))
        kv_heads.append(_head_map(kv_index, source.kv_heads, source.head_size))
        ffn.append(maps.from_index(maps.draw_index(source.ffn, target.ffn, draw, rng), source.ffn))
    return Widening(residual=residual, heads=tuple(heads), kv_heads=tuple(kv_heads), ffn=tuple(ffn))


def _head_map(heads: Ints, source_heads: int, head_size: int) -> SpaceMap:
    return maps.from_index(maps.expand_heads(heads, head_size), source_heads * head_size)


def widen_heads(source: ModelSpec, target: ModelSpec, rng: np.random.Generator) -> Widening:
    """Copy coordinates inside each head instead of heads: as many heads, each `target.head_size` wide.

    A copied key and query give `ratio` times the product, the wider softmax divides by the root of it: queries are
    multiplied by sqrt(head_size_s / head_size_t).
    """
    same = replace(target, heads=source.heads, kv_heads=source.kv_heads, head_size=source.head_size)
    base = widen(source, same, "balanced", rng)
    inner = maps.draw_index(source.head_size, target.head_size, "balanced", rng)

    def wider(heads: int) -> SpaceMap:
        index = (np.arange(heads)[:, None] * source.head_size + inner).reshape(-1)
        return maps.from_index(index, heads * source.head_size)

    return replace(
        base,
        heads=tuple(wider(source.heads) for _ in range(source.layers)),
        kv_heads=tuple(wider(source.kv_heads) for _ in range(source.layers)),
        query=(source.head_size / target.head_size) ** 0.5,
    )


def neutral(source: ModelSpec, target: ModelSpec) -> tuple[SpaceMap, float]:
    """The residual map of LEMON: whole copies as often as they fit, NEUTRAL coordinates for the rest.

    Returns the map and the share of squares (see Widening.statistics): copies of the source / hidden of the target.
    """
    whole, rest = divmod(target.hidden, source.hidden)
    index = np.concatenate([np.tile(np.arange(source.hidden), whole), np.full(rest, maps.NEUTRAL)])
    return maps.from_index(index, source.hidden), whole * source.hidden / target.hidden
