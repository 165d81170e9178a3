"""LiGO: learned linear growth (Wang et al., ICLR 2023; arXiv 2303.00980).

Every target tensor is a linear map of the source's. The map of a stream of D_1 coordinates keeps them and adds D_2 - D_1
mixtures of all of them; only the rows M are learned:

    A = [ I ; M ],    M: (D_2 - D_1) x D_1
    W_t = A_out (sum_l w_t[l] W_l) A_in^T,    b_t = A_out sum_l c_t[l] b_l           (order: released)
    W_t = sum_l w_t[l] A_out,l W_l A_in,l^T                                          (order: paper)

Streams: one E for the residual stream, and per layer Q, K, V for heads and F for the FFN. What a matrix reads, it reads
through the map of what was written, transposed: q, k, v and fc1 read E, o reads V and writes E, fc2 reads F and writes
E. Norms and biases are mapped by what they belong to, position tables and token tables by E. A head's own matrix
writes a map C, which the vocabulary's matrix reads; under a tied head C = E. Each module has its own depth weights w, and
c for its bias; there are none if no layers are added.

Start: w_t[l] is 1 at l = t mod L_1 (or, with `depth: interpolate`, at floor(t L_1 / L_2)) and U(0, noise) elsewhere,
divided by its sum; the rows of M are U(0, 1) divided by their sum (`width: average`), or copy coordinates in turn
(`copy`), or copy and divide what is read by the number of copies (`divided`: bert2BERT's FPI). Nothing holds a factor
to its start afterwards.

The source is frozen, and AdamW trains the factors on the run's own text and objective, clipped at 1, with a LR that falls
linearly to 0 over `steps`. Then they are merged into a stock model, whose training starts with the text after that.
The steps are counted, with the operator's own products (growth/learned/cost.py).

The order is the released code's: depth first, width per target layer. The paper writes width first, with a map per
source layer. Deviations: the release runs its 100 steps within a warm-up of 10,000, so that the LR ends at 2e-6 and the
operator hardly moves; here there is no warm-up, and the LR is 1e-2, the best of those tried. It leaves C and E
different under a tied head, where one overwrites the other. Grouped heads, which neither has, give o a map of its own.
"""

import numpy as np

from growbench.growth.depth import Depth, from_list, interpolated
from growbench.growth.learned import start
from growbench.growth.learned.parts import WHOLE, Anatomy, Part
from growbench.growth.learned.recipe import Factor, Learned, Learning, Mix, Scale, Step, Widen
from growbench.growth.widening import Widening, undivided, widen
from growbench.methods import Method, Option, integer_ratio


class Ligo(Method):
    title = "LiGO"
    paper = "Wang et al., ICLR 2023"
    needs_data = True
    preserves = "no; without learning, width at an integer ratio with width: divided"
    options = {
        "steps": Option(100, "steps that learn the operator", range=(0, 1_000_000)),
        "operator_lr": Option(0.01, "LR of the operator's first step; it falls to 0", range=(1e-8, 10.0)),
        "operator_decay": Option(0.1, "AdamW's weight decay of the operator's factors", range=(0.0, 10.0)),
        "depth": Option("stack", "where target layers start from", choices=("stack", "interpolate")),
        "width": Option("average", "what added coordinates start as", choices=("average", "copy", "divided")),
        "noise": Option(0.03, "largest weight of the other layers at the start", range=(0.0, 1.0)),
        "order": Option(
            "released", "depth, then width per target layer; or the paper's", choices=("released", "paper")
        ),
    }

    def exact(self, source, target, traits, options) -> bool:
        copies = options["steps"] == 0 and options["width"] == "divided"
        return copies and source.layers == target.layers and integer_ratio(source, target)

    def widen(self, source, target, options, rng) -> Widening:
        made = widen(source, target, "balanced", rng)
        return made if options["width"] == "divided" else undivided(made)

    def deepen(self, source_layers, target_layers, options) -> Depth:
        if options["depth"] == "interpolate":
            return interpolated(source_layers, target_layers)
        return from_list([t % source_layers for t in range(target_layers)])

    def learning(self, options) -> Learning:
        return Learning(steps=options["steps"], lr=options["operator_lr"], weight_decay=options["operator_decay"])

    def learned(self, anatomy, options) -> Learned:
        released, factors = options["order"] == "released", dict[str, Factor]()
        for stream in anatomy.streams:
            factors[stream] = _rows(anatomy, stream, options["width"] == "average", released)
        if anatomy.deeper:
            for part in anatomy.parts:
                if part.layered:
                    factors[_mixed(part)] = _weights(anatomy, part, options["noise"])
        divided = start.reads(anatomy, target=released)

        def steps(part: Part) -> tuple[Step, ...]:
            grown = [(dim, stream) for dim, stream in enumerate(part.streams) if stream in factors]
            width: list[Step] = [Widen(dim, stream) for dim, stream in grown]
            width += [Scale(dim, s) for dim, s in grown if s in divided and _reads(part, dim)]
            depth: list[Step] = [Mix(_mixed(part))] if _mixed(part) in factors else []
            return tuple(depth + width if released else width + depth)

        return Learned(factors=factors, steps=steps, reads=divided, orders=start.orders(anatomy))


def _mixed(part: Part) -> str:
    return f"depth {part.name}"


def _reads(part: Part, dim: int) -> bool:
    return part.undoes or part.component.axes[dim].verb == "reads"


def _rows(anatomy: Anatomy, stream: str, average: bool, released: bool) -> Factor:
    """Return the learned rows of a stream's maps: [new, old], or [layers, new, old]."""
    layers, space = start.layers_of(anatomy, stream, target=released), anatomy.space(stream, 0)
    one = (space.target_size - space.source_size, space.source_size)

    def rows(rng: np.random.Generator) -> start.Array:
        if not average:
            return start.stacked(anatomy, stream, [start.copies(anatomy, stream, layer) for layer in layers])
        drawn = rng.random((len(layers), *one), dtype=np.float32)
        return start.stacked(anatomy, stream, list(drawn / drawn.sum(-1, keepdims=True)))

    return Factor(one if stream in WHOLE else (len(layers), *one), rows)


def _weights(anatomy: Anatomy, part: Part, noise: float) -> Factor:
    """Return a module's depth weights, [target layers, source layers]."""

    def weights(rng: np.random.Generator) -> start.Array:
        chosen = start.blend(anatomy.depth, part, anatomy.source.layers)
        if noise == 0:
            return chosen
        others = np.where(chosen == 0, noise * rng.random(chosen.shape, dtype=np.float32), chosen)
        return others / others.sum(-1, keepdims=True)

    return Factor((anatomy.target.layers, anatomy.source.layers), weights)


METHOD = Ligo()
