"""The matrices of the layers, cut into squares as wide as the residual stream, so that they are one tensor. No torch.

A size that is not a multiple of the width is filled up from its own beginning, and the target's surplus is cut off.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from growbench.families import WIDENED, axis_size
from growbench.growth.learned.parts import Part
from growbench.growth.maps import Ints
from growbench.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Cut:
    """How one matrix of every layer is cut.

    part: its name.
    flipped: whether it is stored [read, written].
    old, new: entries (written, read) in the source and in the target.
    """

    part: str
    flipped: bool
    old: tuple[int, int]
    new: tuple[int, int]


@dataclass(frozen=True)
class Slicing:
    """How all matrices of a growth are cut.

    old, new: sides of a slice in the source and in the target.
    layers: numbers of layers, (source, target).
    cuts: of the matrices, in order.
    """

    old: int
    new: int
    layers: tuple[int, int]
    cuts: tuple[Cut, ...]

    def grid(self, cut: Cut, *, target: bool) -> tuple[int, int]:
        """Return the slices of a matrix, (down what it writes, along what it reads)."""
        (written, read), side = (cut.new, self.new) if target else (cut.old, self.old)
        return pieces(written, side), pieces(read, side)

    def count(self, *, target: bool) -> int:
        """Return the slices of one layer."""
        return sum(a * b for a, b in (self.grid(cut, target=target) for cut in self.cuts))

    def in_turn(self) -> NDArray[np.float32]:
        """Return the map [old, new] by which each target slice is the source's in the same place, in turn if it has more."""
        found = np.zeros((self.count(target=False), self.count(target=True)), dtype=np.float32)
        row = column = 0
        for cut in self.cuts:
            (down, along), (wanted_down, wanted_along) = (self.grid(cut, target=new) for new in (False, True))
            for a, b in np.ndindex(wanted_down, wanted_along):
                found[row + a % down * along + b % along, column + a * wanted_along + b] = 1.0
            row, column = row + down * along, column + wanted_down * wanted_along
        return found


def pieces(size: int, side: int) -> int:
    """Return the slices that an axis needs."""
    return -(-size // side)


def slicing(parts: Iterable[Part], source: ModelSpec, target: ModelSpec) -> Slicing:
    """Return how the matrices among these parts are cut: what every layer has, with two axes that may grow."""
    cuts = []
    for part in parts:
        axes = part.component.axes
        if part.layered and len(axes) == 2 and all(axis.space in WIDENED for axis in axes):
            flipped = axes[0].verb == "reads"
            sizes = (part.shape, tuple(axis_size(axis, target) or 0 for axis in axes))
            old, new = ((b, a) if flipped else (a, b) for a, b in sizes)
            cuts.append(Cut(part.name, flipped, old, new))
    return Slicing(source.hidden, target.hidden, (source.layers, target.layers), tuple(cuts))


def copied(size: int, wanted: int, source: ModelSpec, target: ModelSpec) -> Ints:
    """Return the source coordinate of each target coordinate of an axis, if slices and their entries are copied in turn."""
    place = np.arange(wanted)
    slice_, inner = place // target.hidden % pieces(size, source.hidden), place % target.hidden % source.hidden
    return (slice_ * source.hidden + inner) % size
