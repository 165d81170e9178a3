"""What a method returns for a learned operator: its factors, and the steps that make each target tensor of them.

Steps are data, so that the same list is carried out on tensors (composition.py) and priced (cost.py). No torch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from growbench.growth.learned.parts import Part
from growbench.growth.learned.slices import Slicing
from growbench.growth.maps import Ints

Array = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor of the maps.

    shape: of the factor.
    start: returns what it starts from.
    """

    shape: tuple[int, ...]
    start: Callable[[np.random.Generator], Array]


@dataclass(frozen=True, slots=True)
class Mix:
    """Make each target layer a weighted sum of source layers.

    factor: its weights, [target layers, source layers]; or a core of a ring, whose first block is their transpose.
    """

    factor: str


@dataclass(frozen=True, slots=True)
class Widen:
    """Keep what is there and add mixtures of it, along one axis.

    dim: the axis of one layer's tensor. factor: rows [new, old], or [layers, new, old] if every layer has its own. They
    come behind what is there, unless Learned.orders says otherwise.
    """

    dim: int
    factor: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Multiply along one axis by fixed numbers. dim: the axis. stream: of which Learned.reads has the numbers."""

    dim: int
    stream: str


@dataclass(frozen=True, slots=True)
class Project:
    """Map one axis slice by slice, slices in turn.

    dim: the axis of one layer's tensor. core: of a ring; its first block, [old, new], is the map. size: in the target.
    """

    dim: int
    core: str
    size: int


Step = Mix | Widen | Scale | Project


@dataclass(frozen=True, kw_only=True, slots=True)
class Ring:
    """Make the matrices of all layers at once, from all of them (growth/learned/ring.py).

    slicing: how they are one tensor. read, slices, written, layers: the cores, factors [rank, old, new, rank].
    """

    slicing: Slicing
    read: str
    slices: str
    written: str
    layers: str


@dataclass(frozen=True, kw_only=True)
class Learned:
    """A learned operator.

    factors: what is learned, by name.
    steps: returns how a target tensor is made of a source's; for a matrix of the ring, what follows the ring.
    ring: makes the matrices of all layers together; None if every tensor is made of its own source's.
    reads: by stream, fixed factors of what is read, [target size] or [layers, target size].
    orders: by factor, places [target size] in (what is there, what is added) from which a widened axis takes its entries.
    """

    factors: Mapping[str, Factor]
    steps: Callable[[Part], tuple[Step, ...]]
    ring: Ring | None = None
    reads: Mapping[str, Array] = field(default_factory=dict)
    orders: Mapping[str, Ints] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Learning:
    """How the factors are learned.

    steps: optimizer steps.
    lr: of the first step; it falls linearly to 0.
    weight_decay: of AdamW, on every factor.
    betas, eps: of AdamW.
    clip: largest norm of the gradient.
    """

    steps: int
    lr: float
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-6
    clip: float = 1.0

    def lr_of_step(self, step: int) -> float:
        """Return the LR of step 0, 1, ..."""
        return self.lr * (self.steps - step) / self.steps
