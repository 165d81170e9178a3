"""FLOPs of one step by formula (DESIGN section 3): matmuls only, multiply + add = 2; tested against torch's counter."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from growbench.families import Family
from growbench.spec import ModelSpec


def body(spec: ModelSpec, family: Family, length: int, *, rank: float | None = None, shared: bool = False) -> float:
    """Forward FLOPs of all layers for one sequence of `length` tokens: projections, attention products, FFN.

    rank, shared: of a thin model (train/thin.py); a light layer has half the projections and half the products.
    """
    attention, grouped = spec.heads * spec.head_size, spec.kv_heads * spec.head_size
    projections = 2 * length * spec.hidden * (2 * attention + 2 * grouped)
    products = 4 * length * length * attention
    halves = 2 * spec.layers - (spec.layers // 2 if shared else 0)
    ffn = 2 * length * family.ffn_matrices * matrix(spec, rank)
    return float(halves * (projections + products) // 2 + spec.layers * ffn)


def matrix(spec: ModelSpec, rank: float | None) -> int:
    """Multiplications of one token with one FFN matrix, or with its two factors."""
    if rank is None:
        return spec.hidden * spec.ffn
    return factor_rank(rank, spec.hidden, spec.ffn) * (spec.hidden + spec.ffn)


def factor_rank(rank: float, rows: int, columns: int) -> int:
    """The common side of the two factors of a matrix; rank: as a share of its shorter side."""
    return max(1, round(rank * min(rows, columns)))


def queries_keys_values(spec: ModelSpec, length: int) -> float:
    """Forward FLOPs of one layer's query, key and value projections for one sequence."""
    return float(2 * length * spec.hidden * (spec.heads + 2 * spec.kv_heads) * spec.head_size)


def head(spec: ModelSpec, family: Family, positions: int, *, classes: int = 0) -> float:
    """Forward FLOPs of the head on `positions` positions, over the vocabulary or, where given, `classes`."""
    rows = classes or spec.vocab
    return float(2 * positions * (family.head_matrices * spec.hidden**2 + spec.hidden * rows))


def parameters(spec: ModelSpec, family: Family) -> float:
    """Parameters in a model's matrices: a layer's multiply every token once, and there is a token table."""
    pairs = (
        4 * spec.heads * spec.head_size
    )  # FLOPs of one token's attention to itself, in which no parameter takes part
    return (body(spec, family, 1) - spec.layers * pairs) / 2 + spec.vocab * spec.hidden


def patches(spec: ModelSpec, values: int) -> float:
    """Forward FLOPs of projecting one image's patches, `values` = channels x height x width numbers each."""
    return float(2 * (spec.max_length - 1) * spec.hidden * values)


@dataclass(frozen=True, slots=True)
class StepCost:
    """Cost of one optimizer step: forward FLOPs and tokens read.

    inputs: the share of forward whose inputs need no gradient. frozen: the share that has no backward at all.
    """

    forward: float
    tokens: int
    inputs: float = 0.0
    frozen: float = 0.0

    @property
    def flops(self) -> float:
        """Backward = 2 x forward, once where the input needs no gradient, never where a layer is frozen."""
        return 3 * self.forward - self.inputs - 2 * self.frozen

    @property
    def flops_electra(self) -> float:
        """ELECTRA's convention: backward = forward."""
        return 2 * self.forward - self.frozen

    def beside(self, forward: float) -> "StepCost":
        """This step with another model beside it, which only runs forward."""
        return replace(self, forward=self.forward + forward, frozen=self.frozen + forward)


def mean(costs: Sequence[StepCost]) -> StepCost:
    """The mean step of several kinds that take turns; they read equally many tokens."""
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
    """Cost of a step on `batch` sequences of `length` tokens whose head sees `positions` positions each.

    top: only so many top layers and the head learn; None trains all. Under post-LN the lowest of them projects an input
    that needs no gradient. For images: length is the number of patches + 1, positions 1, classes and patch_values as
    `head` and `patches` say; rank and shared as `body` says.
    """
    inputs = batch * patches(spec, patch_values) if patch_values else 0.0
    layers = batch * body(spec, family, length, rank=rank, shared=shared)
    forward = layers + batch * head(spec, family, positions, classes=classes) + inputs
    if top is None or top >= spec.layers:
        return StepCost(forward, batch * length, inputs)
    frozen = layers * (spec.layers - top) / spec.layers + inputs
    lowest = 0.0 if family.pre_norm(None) else batch * queries_keys_values(spec, length)
    return StepCost(forward, batch * length, lowest, frozen)
