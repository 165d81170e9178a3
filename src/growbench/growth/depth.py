"""Depth maps: which source layer each target layer comes from, and which target layers start as identities."""

from dataclasses import dataclass, replace
from typing import Literal

from growbench.errors import GrowBenchError

Where = Literal["first", "last", "top"]  # after which layers copies are added; see `placed`


@dataclass(frozen=True, slots=True)
class Layer:
    """Where a target layer comes from.

    sources: pairs (source layer, weight); the layer is their weighted sum.
    silent: it writes nothing to the residual stream at first: its output projections are zero.
    cancel: of a silent layer: its output projections are random instead, with a sum of zero over the copies of each
        coordinate that they read.
    above: its added heads and FFN units come from the source layer above.
    fresh: its weights are the family's random start; only its norms are copies.
    masked: it is blended with the identity as long as masks last (masking.py).
    """

    sources: tuple[tuple[int, float], ...]
    silent: bool = False
    cancel: bool = False
    above: bool = False
    fresh: bool = False
    masked: bool = False


Depth = tuple[Layer, ...]


def from_list(order: list[int]) -> Depth:
    """Make each target layer a copy of the source layer with that number, counted from 0."""
    return tuple(Layer(((i, 1.0),)) for i in order)


def stacked(source_layers: int, target_layers: int) -> Depth:
    """Stack the source as often as it fits, then its top layers (bert2BERT, section 3.4; StackBERT at a multiple)."""
    times, rest = divmod(target_layers, source_layers)
    return from_list(list(range(source_layers)) * times + list(range(source_layers - rest, source_layers)))


def interpolated(source_layers: int, target_layers: int) -> Depth:
    """Repeat each source layer in place: target layer t comes from source layer floor(t * L_s / L_t)."""
    return from_list([t * source_layers // target_layers for t in range(target_layers)])


def middle(source_layers: int, target_layers: int) -> Depth:
    """Copy the middle of the source and put the copy right behind it (MIDAS). Copies the whole source at most once."""
    added = target_layers - source_layers
    if added > source_layers:
        return stacked(source_layers, target_layers)
    end = (source_layers - added) // 2 + added
    return from_list([*range(end), *range(end - added, source_layers)])


def placed(source_layers: int, target_layers: int, where: Where) -> Depth:
    """Repeat source layers in place, each right behind itself. At a multiple all choices of `where` are the same.

    Otherwise some layers have one copy more. `first`: the first of each group, as `interpolated`. `last`: the last of
    each group (LLaMA-Pro: 8 to 10 is 0 1 2 3 3 4 5 6 7 7). `top`: the last ones of all (LEMON: 0 1 2 3 4 5 6 6 7 7).
    """
    if where == "first":
        return interpolated(source_layers, target_layers)
    if where == "last":
        return from_list([-(-(t + 1) * source_layers // target_layers) - 1 for t in range(target_layers)])
    times, rest = divmod(target_layers, source_layers)
    return from_list([i for i in range(source_layers) for _ in range(times + (i >= source_layers - rest))])


def identities(source_layers: int, target_layers: int, where: Where = "first") -> Depth:
    """Like `placed`, but every repetition is silent: the target computes what the source computes.

    Under pre-LN a silent layer adds zero. Under post-LN its norms also have to pass their input on (see transfer.py).
    """
    order = placed(source_layers, target_layers, where)
    return tuple(replace(layer, silent=t > 0 and layer == order[t - 1]) for t, layer in enumerate(order))


def topped(source_layers: int, target_layers: int) -> Depth:
    """Put new layers on top that compute the identity: random, except that their output projections are zero."""
    top = Layer(((source_layers - 1, 1.0),), silent=True, fresh=True)
    return from_list(list(range(source_layers))) + (top,) * (target_layers - source_layers)


def first(source_layers: int, target_layers: int) -> Depth:
    """Keep the first layers of a deeper source (Weight Selection)."""
    return from_list(list(range(target_layers)))


def check_depth(depth: Depth, source_layers: int, target_layers: int) -> None:
    """Raise GrowBenchError unless a map has one entry per target layer and names only layers of the source."""
    if not isinstance(depth, tuple) or not all(isinstance(layer, Layer) for layer in depth):
        raise GrowBenchError("target.layers: the depth map is not a tuple of Layer; correct the method's `deepen`")
    if len(depth) != target_layers:
        raise GrowBenchError(
            f"target.layers: the depth map has {len(depth)} layers, not {target_layers}; give one entry per layer"
        )
    for number, layer in enumerate(depth):
        for source, _ in layer.sources:
            if not 0 <= source < source_layers:
                raise GrowBenchError(
                    f"target.layers: the depth map takes layer {number} from source layer {source}, but the source has "
                    f"layers 0..{source_layers - 1}; correct the map"
                )
