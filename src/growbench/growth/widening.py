"""Widening: every map of one growth, and what fills the entries without a source."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from growbench.growth import maps
from growbench.growth.maps import Draw, Ints, SpaceMap
from growbench.spec import ModelSpec, Norm

Fanout = Literal["equal", "projection", "comp"]
Masked = Literal["outputs", "projections"]


@dataclass(frozen=True, kw_only=True)
class Fill:
    """What fills the entries at a NEW coordinate: N(0, std^2) per (space, verb), or the family's own start.

    rules: std of the entries whose axis (space, verb) is NEW. 0 makes them zero and overrides any other rule.
    """

    rules: dict[tuple[str, str], float] = field(default_factory=dict)

    def std(self, space: str, verb: str) -> float | None:
        """Return the standard deviation that a rule gives; None for the family's own start."""
        return self.rules.get((space, verb))


@dataclass(frozen=True, kw_only=True)
class Widening:
    """Every map of one growth.

    residual: the map of the residual stream, for the whole network.
    heads, kv_heads, ffn: one map per source layer.
    fill: what fills entries without a source.
    coupling: whether copies read all copies (`shared`) or only their own (`diagonal`).
    noise: size of the random part of the weights with which copies are read. See `fanout`.
    fanout: how the copies of one source coordinate share a weight W, whose sum they keep. `equal`: W / k and noise that
        sums to zero, as a share of the tensor's standard deviation. `projection`: W / k and R less its mean over the
        copies. `comp`: the copies after the first have R, the first one has W less their sum. R has `noise` times the
        family's initial standard deviation. NEUTRAL coordinates are read with R too, or under `equal` with a full start.
    masks: what masks hide while training, if anything (masking.py).
    statistics: per kind of norm, the mean square of the target's vector (about the mean, or about zero) relative to the
        source's: D_s / D_t after padding. Gains are multiplied by its root, epsilon by the ratio itself.
    query: factor on queries, if heads get wider.
    """

    residual: SpaceMap
    heads: tuple[SpaceMap, ...]
    kv_heads: tuple[SpaceMap, ...]
    ffn: tuple[SpaceMap, ...]
    fill: Fill = Fill()
    coupling: Literal["shared", "diagonal"] = "shared"
    noise: float = 0.0
    fanout: Fanout = "equal"
    masks: Masked = "outputs"
    statistics: Mapping[Norm, float] = field(default_factory=dict)
    query: float = 1.0

    def space(self, name: str, layer: int | None) -> SpaceMap:
        """Return the map of a space in a source layer. Outside the layers there is only the residual."""
        if name == "residual" or layer is None:
            return self.residual
        return getattr(self, name)[layer]


def widen(source: ModelSpec, target: ModelSpec, draw: Draw, rng: np.random.Generator) -> Widening:
    """Draw one residual map for the whole network, and head and FFN maps per source layer. Whole heads are copied."""
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
    """Copy coordinates inside each head instead of heads: the same number of heads, each `target.head_size` wide.

    Copied keys and queries multiply their product by the ratio of sizes, and attention divides by the root of it.
    Queries are therefore multiplied by sqrt(head_size_s / head_size_t).
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
    """Return LEMON's residual map: as many full copies as fit, and NEUTRAL coordinates for the rest.

    Also returns the ratio of mean squares (see Widening.statistics): copied coordinates / hidden size of the target.
    """
    times, rest = divmod(target.hidden, source.hidden)
    index = np.concatenate([np.tile(np.arange(source.hidden), times), np.full(rest, maps.NEUTRAL)])
    return maps.from_index(index, source.hidden), times * source.hidden / target.hidden


def undivided(widening: Widening) -> Widening:
    """Return the same copies, whose readers do not divide by their number."""

    def plain(space: SpaceMap) -> SpaceMap:
        return replace(space, read=np.ones(space.target_size))

    return replace(
        widening,
        residual=plain(widening.residual),
        heads=tuple(map(plain, widening.heads)),
        kv_heads=tuple(map(plain, widening.kv_heads)),
        ffn=tuple(map(plain, widening.ffn)),
    )
