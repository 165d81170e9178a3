"""Where factors start from: the index maps and the depth map of the method, as dense numbers. No torch."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from growbench.growth.depth import Depth
from growbench.growth.learned.parts import WHOLE, Anatomy, Part
from growbench.growth.learned.recipe import Array
from growbench.growth.maps import Ints, SpaceMap


def copies(anatomy: Anatomy, stream: str, layer: int) -> Array:
    """Return the rows [new, old] that copy what the method's index map copies; zeros where it has no source."""
    space = anatomy.space(stream, layer)
    new = np.flatnonzero(~kept(space))
    rows = np.zeros((len(new), space.source_size), dtype=np.float32)
    copied = space.index[new] >= 0
    rows[np.flatnonzero(copied), space.index[new][copied]] = space.write[new][copied]
    return rows


def kept(space: SpaceMap) -> NDArray[np.bool_]:
    """Return which target coordinates are the source's own, [target size]: the first copy of each."""
    return (space.index >= 0) & (space.copy == 0)


def orders(anatomy: Anatomy) -> dict[str, Ints]:
    """Return where the source's own coordinates lie among the added ones (Learned.orders), if not before them.

    Heads that are added to a group of queries lie within it.
    """
    found = {}
    for stream in anatomy.streams:
        space = anatomy.space(stream, 0)
        own = kept(space)
        order = np.where(own, space.index, space.source_size + np.cumsum(~own) - 1)
        if (order != np.arange(len(order))).any():
            found[stream] = order
    return found


def layers_of(anatomy: Anatomy, stream: str, *, target: bool) -> tuple[int, ...]:
    """Return the source layers whose maps a stream's factor holds, one after another; layer 0 alone for a whole stream.

    target: whether target layers have maps of their own, which start as those of the layers that they come from.
    """
    if stream in WHOLE:
        return (0,)
    if target:
        return tuple(layer.sources[0][0] for layer in anatomy.depth)
    return tuple(range(anatomy.source.layers))


def stacked(anatomy: Anatomy, stream: str, arrays: Sequence[Array]) -> Array:
    """Return one array per layer as one array, [layers, ...]; that of a whole stream as it is."""
    return arrays[0] if stream in WHOLE else np.stack(arrays)


def reads(anatomy: Anatomy, *, target: bool) -> dict[str, Array]:
    """Return, for each stream that the index maps divide, the factors of what is read (Learned.reads)."""
    found = {}
    for stream in anatomy.streams:
        rows = [anatomy.space(stream, layer).read for layer in layers_of(anatomy, stream, target=target)]
        if any((row != 1).any() for row in rows):
            found[stream] = stacked(anatomy, stream, rows)
    return found


def blend(depth: Depth, part: Part, source_layers: int) -> Array:
    """Return the depth map as weights [target layers, source layers]. What silences a silent layer has none."""
    weights = np.zeros((len(depth), source_layers), dtype=np.float32)
    for row, layer in enumerate(depth):
        for source, weight in layer.sources:
            weights[row, source] = 0.0 if layer.silent and part.silences else weight
    return weights
