"""The logical tensors of a stock model by formula, so that what works on them has a price. Builds no model."""

from collections.abc import Iterator
from dataclasses import dataclass

from growbench.families._family import Family
from growbench.families._roles import Axis, Component, axis_size, fixed, reads, scales, writes
from growbench.spec import ModelSpec, Pixels

GATED = 3  # matrices of an FFN with a gate
RESIDUAL, FROM_RESIDUAL, SCALED = writes("residual"), reads("residual"), scales("residual")


@dataclass(frozen=True, slots=True)
class Logical:
    """One logical tensor.

    component: its kind and axes; a matrix has the axis that it writes first.
    shape: of one layer.
    layered: whether every layer has one.
    """

    component: Component
    shape: tuple[int, ...]
    layered: bool


def logical(family: Family, spec: ModelSpec, pixels: Pixels | None = None) -> tuple[Logical, ...]:
    """Return every logical tensor of the stock model of this spec: together they are `family.parameters`.

    pixels: what an image model reads and predicts; None for a language model.
    """
    rows = {"vocab": spec.vocab, "type": family.types}
    rows["position"] = 0 if family.positions is None else spec.max_length + family.positions
    rows["head"] = spec.head_size
    found = [(kind, axes, True) for kind, axes in _layer(family)] + [(k, a, False) for k, a in _outside(family)]
    made = []
    for kind, axes, layered in found:
        shape = tuple(rows[axis.space] if axis.verb == "fixed" else axis_size(axis, spec) or 0 for axis in axes)
        if all(shape):
            made.append(Logical(Component(kind, axes), shape, layered))
    return (*made, *(_of_images(family, spec, pixels) if pixels else ()))


def _of_images(family: Family, spec: ModelSpec, pixels: Pixels) -> Iterator[Logical]:
    """Yield what an image model has in the place of a token table: special tokens, the projection of a patch, a classifier."""
    one, side = fixed("one"), pixels.patch
    for _ in range(family.tokens):
        yield Logical(Component("embedding", (one, one, RESIDUAL)), (1, 1, spec.hidden), False)
    patch = (RESIDUAL, fixed("channel"), fixed("height"), fixed("width"))
    yield Logical(Component("embedding", patch), (spec.hidden, pixels.channels, side, side), False)
    yield Logical(Component("embedding", (RESIDUAL,)), (spec.hidden,), False)
    yield Logical(Component("head", (fixed("class"), FROM_RESIDUAL)), (pixels.classes, spec.hidden), False)
    yield Logical(Component("head", (fixed("class"),)), (pixels.classes,), False)


def _layer(family: Family) -> Iterator[tuple[str, tuple[Axis, ...]]]:
    """Yield kind and axes of every tensor of one layer."""
    written = {"q": writes("heads"), "k": writes("kv_heads"), "v": writes("kv_heads"), "fc1": writes("ffn")}
    if family.ffn_matrices == GATED:
        written["gate"] = writes("ffn")
    for kind, axis in written.items():
        yield kind, (axis, FROM_RESIDUAL)
        if ("qkv" if kind in "qkv" else "ffn") in family.biases:
            yield kind, (axis,)
    for kind, axis, which in (("o", reads("heads"), "o"), ("fc2", reads("ffn"), "ffn")):
        yield kind, (RESIDUAL, axis)
        if which in family.biases:
            yield kind, (RESIDUAL,)
    yield from _norms(family, family.layer_norms)
    if family.head_norms != "none":
        for kind, space in (("norm_q", "heads"), ("norm_k", "kv_heads")):
            yield kind, (fixed("head") if family.head_norms == "each" else scales(space),)


def _outside(family: Family) -> Iterator[tuple[str, tuple[Axis, ...]]]:
    """Yield kind and axes of every tensor outside the layers."""
    for space in ("vocab", "position", "type"):
        yield "embedding", (fixed(space), RESIDUAL)
    yield from _norms(family, family.norms)
    for _ in range(family.head_matrices):
        yield "head", (RESIDUAL, FROM_RESIDUAL)
        if "head" in family.biases:
            yield "head", (RESIDUAL,)
    if family.head_adds == "bias":
        yield "head", (fixed("vocab"),)
    if family.head_adds == "matrix":
        yield "head", (fixed("vocab"), FROM_RESIDUAL)


def _norms(family: Family, count: int) -> Iterator[tuple[str, tuple[Axis, ...]]]:
    """Yield gain, and shift if there is one, of some norms."""
    for _ in range(count * (2 if "norm" in family.biases else 1)):
        yield "norm", (SCALED,)
