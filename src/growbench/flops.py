"""FLOPs of one step by formula (DESIGN section 3): matmuls only, multiply + add = 2; tested against torch's counter."""

from dataclasses import dataclass

from growbench.families import Family
from growbench.spec import ModelSpec


def body(spec: ModelSpec, family: Family, length: int) -> float:
    """Forward FLOPs of all layers for one sequence of `length` tokens: projections, attention products, FFN."""
    attention, grouped = spec.heads * spec.head_size, spec.kv_heads * spec.head_size
    projections = 2 * length * spec.hidden * (2 * attention + 2 * grouped)
    products = 4 * length * length * attention
    ffn = 2 * length * family.ffn_matrices * spec.hidden * spec.ffn
    return float(spec.layers * (projections + products + ffn))


def head(spec: ModelSpec, family: Family, positions: int) -> float:
    """Forward FLOPs of the pre-training head on `positions` positions."""
    return float(2 * positions * (family.head_matrices * spec.hidden**2 + spec.hidden * spec.vocab))


@dataclass(frozen=True, slots=True)
class StepCost:
    """Cost of one optimizer step: forward FLOPs and tokens read."""

    forward: float
    tokens: int

    @property
    def flops(self) -> float:
        """Backward = 2 x forward."""
        return 3 * self.forward

    @property
    def flops_electra(self) -> float:
        """ELECTRA's convention: backward = forward."""
        return 2 * self.forward


def step(spec: ModelSpec, family: Family, *, batch: int, length: int, positions: int) -> StepCost:
    """Cost of a step on `batch` sequences of `length` tokens whose head sees `positions` positions each."""
    return StepCost(batch * (body(spec, family, length) + head(spec, family, positions)), batch * length)
