"""What a learned operator works on: logical tensors, each with all of its layers, and the stream of every axis.

A stream is a set of coordinates that share one map. It is finer than a space: queries, keys and values each have their
own. No torch, so that a plan can be priced.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from growbench.families import WIDENED, Axis, Component
from growbench.growth.depth import Depth
from growbench.growth.maps import SpaceMap
from growbench.growth.widening import Widening
from growbench.spec import ModelSpec

WHOLE = ("residual", "head")  # streams with one map for the whole network; the others have one per layer


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One logical tensor, with all of its layers.

    name: of the parameter without its layer's number, with the component's number after `#`.
    component: its kind and axes.
    shape: of one layer in the source.
    layered: whether every layer has one.
    streams: the stream of each axis; None if it does not grow.
    undoes: whether it is a norm that feeds a tied head, and so takes the read factor that the head cannot.
    silences: whether it is zero in a layer that adds nothing.
    """

    name: str
    component: Component
    shape: tuple[int, ...]
    layered: bool
    streams: tuple[str | None, ...]
    undoes: bool = False
    silences: bool = False


@dataclass(frozen=True)
class Anatomy:
    """What a method may know of one growth when it says which factors it learns.

    source, target: shapes of the models.
    widening, depth: the method's own index maps, from which factors may start.
    parts: every logical tensor.
    """

    source: ModelSpec
    target: ModelSpec
    widening: Widening
    depth: Depth
    parts: Sequence[Part]

    @cached_property
    def streams(self) -> tuple[str, ...]:
        """The streams that get wider."""
        found = dict.fromkeys(s for part in self.parts for s in part.streams if s is not None)
        return tuple(s for s in found if self.space(s, 0).target_size > self.space(s, 0).source_size)

    @property
    def deeper(self) -> bool:
        """Whether the number of layers changes."""
        return self.source.layers != self.target.layers

    def space(self, stream: str, layer: int) -> SpaceMap:
        """Return the method's index map of a stream in a source layer."""
        if stream in WHOLE:
            return self.widening.residual
        spaces = {"q": self.widening.heads, "o": self.widening.heads, "ffn": self.widening.ffn}
        return spaces.get(stream, self.widening.kv_heads)[layer]


def streams_of(component: Component, own_head: bool, grouped: bool) -> tuple[str | None, ...]:
    """Return the stream of each axis of a component.

    own_head: whether what the head's matrices write has a map of its own; not under a tied head.
    grouped: whether there are fewer key/value heads than heads, so that what is read is not what the values write.
    """
    return tuple(_stream(component, axis, own_head, grouped) for axis in component.axes)


def _stream(component: Component, axis: Axis, own_head: bool, grouped: bool) -> str | None:
    if axis.space not in WIDENED:
        return None
    if axis.space == "residual":
        writer = any(a.space == "residual" and a.verb == "writes" for a in component.axes)
        inside = component.kind == "head" and (axis.verb == "writes" or not writer)
        return "head" if own_head and inside else "residual"
    if axis.space == "ffn":
        return "ffn"
    return {"q": "q", "norm_q": "q", "k": "k", "norm_k": "k", "v": "v"}.get(component.kind, "o" if grouped else "v")


def grouped(*specs: ModelSpec) -> bool:
    """Return whether a model has fewer key/value heads than heads."""
    return any(spec.heads != spec.kv_heads for spec in specs)
