"""Mango: multi-linear operators (Pan et al., NeurIPS 2023; arXiv 2310.10699).

The matrices of all layers are one tensor M, layers x slices x written x read. A slice is D x D, where D is the width of
the residual stream: q, k, v, o, and k slices each of fc1 and fc2 if the FFN is k D wide. One linear map makes the
target's tensor of the source's, so that every weight may depend on every other; it is a ring of four small cores:

    M_t[m, c, p, j] = sum S_L[u, l, m, s] S_O[t, o, p, u] S_B[r, b, c, t] S_I[s, i, j, r] M_s[l, b, o, i]

over old layers l, slices b, rows o, columns i, and over the ranks r, t, u, s. At ranks of 1 these are four products, with
one map of what is written and one of what is read for all matrices of all layers.

Start: S_B keeps slices, S_L takes layer t mod L_1 (or, with `depth: interpolate`, floor(t L_1 / L_2)), and S_O and S_I
keep coordinates and add others: averages with weights U(0, 1) divided by their sum (`width: average`), copies in turn
(`copy`), or copies that are divided where they are read (`divided`: bert2BERT's FPI). With higher ranks this is the first
block of the cores, and the others are N(0, noise^2 / old), so that M_t moves by noise^2 alone.

The source is frozen, and AdamW trains the cores on the run's own text and objective, clipped at 1, with a LR that falls
linearly to 0 over `steps`. The steps are counted, with the operator's own products (growth/learned/cost.py).

Only part of the paper's text could be read, and no code from the authors was found. From the paper: the tensor, the slices, the
ring and its cores, 100 steps, ranks of 1 as the usual setting. Ours, because the paper's could not be read: the start,
the optimizer, the LR; that biases, norms, tables and the head are mapped by the first blocks of S_O, S_I and S_L; what
happens to sizes that are no multiple of D (grouped heads, gated or odd FFNs): they are filled up from their own beginning,
and the target's surplus is cut off.
"""

from collections.abc import Callable

import numpy as np

from growbench.errors import GrowBenchError
from growbench.families import axis_size
from growbench.growth.depth import Depth, from_list, interpolated
from growbench.growth.learned import start
from growbench.growth.learned.parts import Anatomy, Part
from growbench.growth.learned.recipe import Array, Factor, Learned, Learning, Mix, Project, Ring, Scale, Step
from growbench.growth.learned.slices import copied, pieces, slicing
from growbench.growth.maps import Ints, from_index, require_same_head_size
from growbench.growth.operator import Options
from growbench.growth.widening import Widening, undivided
from growbench.methods import Method, Option, integer_ratio
from growbench.spec import ModelSpec

RANKS = 4
READ, SLICES, WRITTEN, LAYERS = "read", "slices", "written", "layers"


class Mango(Method):
    title = "Mango"
    paper = "Pan et al., NeurIPS 2023"
    ratios = "any (FFN and heads: no fewer slices)"
    needs_data = True
    preserves = "no; without learning, width at an integer ratio with width: divided"
    options = {
        "steps": Option(100, "steps that learn the operator", range=(0, 1_000_000)),
        "operator_lr": Option(0.01, "LR of the operator's first step; it falls to 0", range=(1e-8, 10.0)),
        "operator_decay": Option(0.0, "AdamW's weight decay of the cores", range=(0.0, 10.0)),
        "ranks": Option([1] * RANKS, "of the ring: before S_B, S_O, S_L and S_I"),
        "depth": Option("stack", "where target layers start from", choices=("stack", "interpolate")),
        "width": Option("average", "what added coordinates start as", choices=("average", "copy", "divided")),
        "noise": Option(0.1, "size of what ranks above 1 add at the start", range=(0.0, 1.0)),
    }

    def check(self, source, target, traits, options) -> None:
        super().check(source, target, traits, options)
        _ranks(self.name, options)
        require_same_head_size(source, target)
        for key, size in (("heads", source.head_size), ("kv_heads", source.head_size), ("ffn", 1)):
            had, wanted = (pieces(getattr(s, key) * size, s.hidden) for s in (source, target))
            if wanted < had:
                least = ((had - 1) * target.hidden) // size + 1
                raise GrowBenchError(
                    f"target.{key}: {getattr(target, key)} fills {wanted} slices of {target.hidden}, but the source's fill "
                    f"{had} of {source.hidden}, and {self.name} keeps slices; use at least {least}"
                )

    def exact(self, source, target, traits, options) -> bool:
        copies = options["steps"] == 0 and options["width"] == "divided"
        alone = options["noise"] == 0 or _ranks(self.name, options) == [1] * RANKS
        if not (copies and alone and source.layers == target.layers and integer_ratio(source, target)):
            return False
        return _whole(source, target)

    def widen(self, source, target, options, rng) -> Widening:
        heads, kv_heads, ffn = _indices(source, target)
        size, layers = source.head_size, source.layers
        made = Widening(
            residual=from_index(copied(source.hidden, target.hidden, source, target), source.hidden),
            heads=(from_index(heads, source.heads * size),) * layers,
            kv_heads=(from_index(kv_heads, source.kv_heads * size),) * layers,
            ffn=(from_index(ffn, source.ffn),) * layers,
        )
        return made if options["width"] == "divided" else undivided(made)

    def deepen(self, source_layers, target_layers, options) -> Depth:
        if options["depth"] == "interpolate":
            return interpolated(source_layers, target_layers)
        return from_list([t % source_layers for t in range(target_layers)])

    def learning(self, options) -> Learning:
        return Learning(steps=options["steps"], lr=options["operator_lr"], weight_decay=options["operator_decay"])

    def learned(self, anatomy, options) -> Learned:
        how = slicing(anatomy.parts, anatomy.source, anatomy.target)
        before, written, layers, read = _ranks(self.name, options)
        average, noise = options["width"] == "average", options["noise"]

        first = next(part for part in anatomy.parts if part.layered)

        def layer_map(rng: np.random.Generator) -> Array:
            return start.blend(anatomy.depth, first, anatomy.source.layers).T

        def width_map(rng: np.random.Generator) -> Array:
            return _width(anatomy, average, rng)

        factors = {
            READ: _core((read, how.old, how.new, before), width_map, noise),
            SLICES: _core((before, *how.in_turn().shape, written), lambda rng: how.in_turn(), noise),
            WRITTEN: _core((written, how.old, how.new, layers), width_map, noise),
            LAYERS: _core((layers, *how.layers, read), layer_map, noise),
        }
        divided = start.reads(anatomy, target=True)
        matrices = {cut.part for cut in how.cuts}

        def steps(part: Part) -> tuple[Step, ...]:
            grown = [(dim, stream) for dim, stream in enumerate(part.streams) if stream is not None]
            made: list[Step] = [] if part.name in matrices else [_projected(anatomy, part, dim) for dim, _ in grown]
            if part.layered and part.name not in matrices:
                made.append(Mix(LAYERS))
            made += [Scale(dim, stream) for dim, stream in grown if stream in divided and _reads(part, dim)]
            return tuple(made)

        ring = Ring(slicing=how, read=READ, slices=SLICES, written=WRITTEN, layers=LAYERS)
        return Learned(factors=factors, steps=steps, ring=ring, reads=divided)


def _ranks(name: str, options: Options) -> list[int]:
    """Return the four ranks. Raises GrowBenchError if they are not four integers from 1."""
    given = options["ranks"]
    if not isinstance(given, list | tuple) or len(given) != RANKS or any(type(r) is not int or r < 1 for r in given):
        raise GrowBenchError(
            f"methods.{name}.ranks: {given!r} is not allowed; use four integers from 1, such as [1, 1, 1, 1]"
        )
    return list(given)


def _indices(source: ModelSpec, target: ModelSpec) -> tuple[Ints, Ints, Ints]:
    """Return the source coordinate of each target coordinate of heads, key/value heads and FFN."""
    size = source.head_size
    pairs = [(s.heads * size, s.kv_heads * size, s.ffn) for s in (source, target)]
    heads, kv_heads, ffn = (copied(old, new, source, target) for old, new in zip(*pairs, strict=True))
    return heads, kv_heads, ffn


def _whole(source: ModelSpec, target: ModelSpec) -> bool:
    """Whether copies keep whole heads, with their groups, and leave nothing out."""
    heads, kv_heads, ffn = _indices(source, target)
    size = source.head_size
    for index in (heads, kv_heads):
        rows = index.reshape(-1, size)
        if (rows[:, 0] % size).any() or (rows != rows[:, :1] + np.arange(size)).any():
            return False
    groups = (kv_heads[::size] // size).repeat(target.heads // target.kv_heads)
    same = (heads[::size] // size // (source.heads // source.kv_heads) == groups).all()
    return bool(same and len(np.unique(heads)) == source.heads * size and len(np.unique(ffn)) == source.ffn)


def _reads(part: Part, dim: int) -> bool:
    return part.undoes or part.component.axes[dim].verb == "reads"


def _projected(anatomy: Anatomy, part: Part, dim: int) -> Project:
    """Return the map of one axis of what is no matrix of a layer."""
    axis = part.component.axes[dim]
    return Project(dim, READ if axis.verb == "reads" else WRITTEN, axis_size(axis, anatomy.target) or 0)


def _width(anatomy: Anatomy, average: bool, rng: np.random.Generator) -> Array:
    """Return a map of coordinates, [old, new]: those that there are, then added ones."""
    old, new = anatomy.source.hidden, anatomy.target.hidden
    if not average:
        return np.eye(old, dtype=np.float32)[:, np.arange(new) % old]
    drawn = rng.random((old, new - old), dtype=np.float32)
    return np.concatenate([np.eye(old, dtype=np.float32), drawn / drawn.sum(0, keepdims=True)], axis=1)


def _core(shape: tuple[int, int, int, int], block: Callable[[np.random.Generator], Array], noise: float) -> Factor:
    """Return a core [rank, old, new, rank] that starts as a known map in its first block."""

    def values(rng: np.random.Generator) -> Array:
        core = noise / shape[1] ** 0.5 * rng.standard_normal(shape, dtype=np.float32)
        core[0, :, :, 0] = block(rng)
        return core

    return Factor(shape, values)


METHOD = Mango()
