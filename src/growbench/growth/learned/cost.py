"""What a learned operator's own matrix products cost in one step, by formula. No torch."""

from collections.abc import Iterable
from math import prod

import numpy as np

from growbench import families
from growbench.growth.learned.parts import Anatomy, Part, grouped, streams_of
from growbench.growth.learned.recipe import Learned, Mix, Project, Ring, Scale
from growbench.growth.learned.slices import pieces
from growbench.growth.operator import Maps, Options
from growbench.spec import ModelSpec, Pixels


def of_growth(
    method: Maps, source: ModelSpec, target: ModelSpec, options: Options, pixels: Pixels | None = None
) -> tuple[float, float]:
    """Return what `forward` returns for the stock models of these specs. Builds no model.

    pixels: what image models read and predict; None for language models.
    """
    family = families.load(source.family)
    parts = [
        Part(
            name=f"{number}",
            component=one.component,
            shape=one.shape,
            layered=one.layered,
            streams=streams_of(one.component, own_head=False, grouped=grouped(source, target)),
        )
        for number, one in enumerate(families.logical(family, source, pixels))
    ]
    widening = method.widen(source, target, options, np.random.default_rng(0))
    depth = method.deepen(source.layers, target.layers, options)
    learned = method.learned(Anatomy(source, target, widening, depth, parts), options)
    return forward(learned, parts, source.layers)


def forward(learned: Learned, parts: Iterable[Part], source_layers: int) -> tuple[float, float]:
    """Return the forward FLOPs of composing the target once, and the part of them whose inputs need no gradient."""
    costs = [_part(learned, part, source_layers) for part in parts]
    if learned.ring is not None:
        costs.append(_ring(learned, learned.ring))
    return sum(cost for cost, _ in costs), sum(inputs for _, inputs in costs)


def _part(learned: Learned, part: Part, layers: int) -> tuple[float, float]:
    shape = [layers if part.layered else 1, *part.shape]
    total, inputs, learns = 0.0, 0.0, False
    for step in learned.steps(part):
        if isinstance(step, Scale):
            continue
        if isinstance(step, Project):
            _, old, new, _ = learned.factors[step.core].shape
            cost = 2.0 * prod(shape) / shape[step.dim + 1] * pieces(shape[step.dim + 1], old) * old * new
            shape[step.dim + 1] = step.size
        else:
            dim = 0 if isinstance(step, Mix) else step.dim + 1
            rows = learned.factors[step.factor].shape[-2]
            cost = 2.0 * prod(shape) * rows
            shape[dim] = rows if isinstance(step, Mix) else shape[dim] + rows
        total, inputs, learns = total + cost, inputs + (0.0 if learns else cost), True
    return total, inputs


def _ring(learned: Learned, ring: Ring) -> tuple[float, float]:
    """Return the same for the matrices that a ring makes, product by product (ring.mapped)."""
    how, outer = ring.slicing, learned.factors[ring.read].shape[0]
    size, open_, costs = how.layers[0] * how.count(target=False) * how.old**2, 1, []
    for core in (ring.read, ring.slices, ring.written, ring.layers):
        _, old, new, last = learned.factors[core].shape
        opened = {ring.read: outer * last, ring.layers: 1}.get(core, last)  # the last product closes the ring
        costs.append(2.0 * size * open_ * new * opened)
        size, open_ = size // old * new, outer * last
    return sum(costs), costs[0]
