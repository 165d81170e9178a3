"""FLOPs of one step by formula: matmuls only, multiply + add = 2; tested against torch's counter."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from growbench.families import Family
from growbench.spec import ModelSpec


def body(spec: ModelSpec, family: Family, length: int, *, rank: float | None = None, shared: bool = False) -> float:
    """Forward FLOPs of all layers for one sequence of `length` tokens: projections, attention products, FFN.

    Of a mixture of experts, a token's FFN is its router, its active experts, and the shared one if there is one.
    rank, shared: of a thin model (train/variants/thin.py). A layer that shares attention has half the projections and products.
    """
    attention, grouped = spec.heads * spec.head_size, spec.kv_heads * spec.head_size
    projections = 2 * length * spec.hidden * (2 * attention + 2 * grouped)
    products = 4 * length * length * attention
    halves = 2 * spec.layers - (spec.layers // 2 if shared else 0)
    ffn = 2 * length * (family.ffn_products(spec) if rank is None else family.ffn_matrices * matrix(spec, rank))
    return float(halves * (projections + products) // 2 + spec.layers * ffn)


def matrix(spec: ModelSpec, rank: float | None) -> int:
    """Return the multiplications of one token with one FFN matrix, or with its two factors."""
    if rank is None:
        return spec.hidden * spec.ffn
    return factor_rank(rank, spec.hidden, spec.ffn) * (spec.hidden + spec.ffn)


def factor_rank(rank: float, rows: int, columns: int) -> int:
    """Return the common side of the two factors of a matrix. rank: as a share of its shorter side."""
    return max(1, round(rank * min(rows, columns)))


def queries_keys_values(spec: ModelSpec, length: int) -> float:
    """Forward FLOPs of one layer's query, key and value projections for one sequence."""
    return float(2 * length * spec.hidden * (spec.heads + 2 * spec.kv_heads) * spec.head_size)


def head(spec: ModelSpec, family: Family, positions: int, *, classes: int = 0) -> float:
    """Forward FLOPs of the head on `positions` positions, over the vocabulary or over `classes`, if given."""
    rows = classes or spec.vocab
    return float(2 * positions * (family.head_matrices * spec.hidden**2 + spec.hidden * rows))


def parameters(spec: ModelSpec, family: Family) -> float:
    """Return the parameters in a model's matrices: those that multiply each token once, and the token table."""
    pairs = 4 * spec.heads * spec.head_size  # FLOPs of one token's attention to itself, which uses no parameter
    return (body(spec, family, 1) - spec.layers * pairs) / 2 + spec.vocab * spec.hidden


def patches(spec: ModelSpec, family: Family, values: int) -> float:
    """Return the forward FLOPs of projecting one image's patches. values: channels x height x width of one patch."""
    return float(2 * (spec.max_length - family.tokens) * spec.hidden * values)


@dataclass(frozen=True, slots=True)
class StepCost:
    """Cost of one optimizer step.

    forward: forward FLOPs.
    tokens: number of tokens read.
    inputs: the part of `forward` whose inputs need no gradient.
    frozen: the part of `forward` that has no backward at all.
    """

    forward: float
    tokens: int
    inputs: float = 0.0
    frozen: float = 0.0

    @property
    def flops(self) -> float:
        """Return all FLOPs: backward = 2 x forward, 1 x if the input needs no gradient, 0 if a layer is frozen."""
        return 3 * self.forward - self.inputs - 2 * self.frozen

    @property
    def flops_electra(self) -> float:
        """Return all FLOPs by ELECTRA's convention: backward = forward."""
        return 2 * self.forward - self.frozen

    def beside(self, forward: float) -> "StepCost":
        """Return the cost with a second model, which only runs `forward` FLOPs forward."""
        return replace(self, forward=self.forward + forward, frozen=self.frozen + forward)

    def with_operator(self, forward: float, inputs: float) -> "StepCost":
        """Return the cost with an operator that composes the parameters, `inputs` of it from what needs no gradient."""
        return replace(self, forward=self.forward + forward, inputs=self.inputs + inputs)


def mean(costs: Sequence[StepCost]) -> StepCost:
    """Return the mean cost of several kinds of step that take turns and read the same number of tokens."""
    forward, inputs, frozen = (fmean(getattr(c, key) for c in costs) for key in ("forward", "inputs", "frozen"))
    return StepCost(forward, costs[0].tokens, inputs, frozen)


def step(
    spec: ModelSpec,
    family: Family,
    *,
    batch: int,
    length: int,
    positions: int,
    top: int | None = None,
    classes: int = 0,
    patch_values: int = 0,
    rank: float | None = None,
    shared: bool = False,
) -> StepCost:
    """Return the cost of a step.

    batch: sequences. length: tokens of each; for images, patches and other tokens.
    positions: positions of each sequence to which the head is applied; for images, 1.
    top: number of top layers that learn, with the head; None: all. If layers read the residual stream itself, the
        lowest of them projects an input that needs no gradient.
    classes: see `head`. patch_values: see `patches`. rank, shared: see `body`.
    """
    inputs = batch * patches(spec, family, patch_values) if patch_values else 0.0
    layers = batch * body(spec, family, length, rank=rank, shared=shared)
    forward = layers + batch * head(spec, family, positions, classes=classes) + inputs
    if top is None or top >= spec.layers:
        return StepCost(forward, batch * length, inputs)
    frozen = layers * (spec.layers - top) / spec.layers + inputs
    lowest = batch * queries_keys_values(spec, length) if family.reads_stream else 0.0
    return StepCost(forward, batch * length, lowest, frozen)
