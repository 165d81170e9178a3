"""The operator of one growth: everything that turns the tensors of one source into those of its target."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from growbench import families
from growbench.families import Family
from growbench.growth import maps
from growbench.growth.depth import Depth
from growbench.growth.learned.parts import Anatomy
from growbench.growth.learned.recipe import Learned
from growbench.growth.mixing import Mixing
from growbench.growth.widening import Widening
from growbench.spec import ModelSpec, Traits

Options = Mapping[str, Any]


class Maps(Protocol):
    """What the engine asks of a method: whether the growth is possible, and its maps.

    needs_data: whether its operator can be learned; if not, `learned` is not asked.
    """

    needs_data: bool

    def check(self, source: ModelSpec, target: ModelSpec, traits: Traits, options: Options) -> None:
        """Raise GrowBenchError if the method cannot make this target from this source."""

    def widen(self, source: ModelSpec, target: ModelSpec, options: Options, rng: np.random.Generator) -> Widening:
        """Return the maps of every space."""

    def deepen(self, source_layers: int, target_layers: int, options: Options) -> Depth:
        """Return where each target layer comes from."""

    def mixing(self, options: Options) -> Mixing | None:
        """Return how FFNs become mixtures of experts; None if they stay FFNs."""

    def learned(self, anatomy: Anatomy, options: Options) -> Learned:
        """Return the operator whose factors can be learned."""


@dataclass(frozen=True, kw_only=True)
class Operator:
    """Shapes, maps, and what new entries start from. Its depth map has passed `check_depth`.

    family: of the source, and of the target unless `mixing` says how its FFNs become experts.
    source, target: their shapes.
    widening: the maps of every space.
    depth: where each target layer comes from.
    tied: whether the head shares the token table.
    output_norm: end of the target's name of the norm that feeds the head; None if there is none.
    pre_norm: whether residual blocks normalize their input.
    init_std: standard deviation of new weights.
    seed: of new weights and of noise.
    mixing: how FFNs become mixtures of experts; None if they stay FFNs.
    """

    family: Family
    source: ModelSpec
    target: ModelSpec
    widening: Widening
    depth: Depth
    tied: bool
    output_norm: str | None
    pre_norm: bool
    init_std: float
    seed: int
    mixing: Mixing | None = None

    @cached_property
    def embedding(self) -> float:
        """The factor of the token table, if the stock model multiplies embeddings by a number that depends on its width."""
        return self.family.embedding_scale(self.source) / self.family.embedding_scale(self.target)

    @property
    def target_family(self) -> Family:
        """The family of the target: the source's, or the one of mixtures with its layers."""
        return self.family if self.mixing is None else families.load(self.target.family)

    @property
    def keeps_head_norms(self) -> bool:
        """Whether norms over all heads together keep their mean squares: each source head has as many copies."""
        spaces = (*self.widening.heads, *self.widening.kv_heads)
        return self.family.head_norms != "all" or all(map(maps.even, spaces))

    def silences(self, kind: str) -> bool:
        """Whether the tensors of this kind are what a silent layer sets to zero: the last ones before the residual stream."""
        return kind == "norm_branch" if self.family.branch_norms else kind in ("o", "fc2")

    def passes_on(self, layer: int, kind: str) -> bool:
        """Whether a norm of a target layer only normalizes (gain 1, shift 0), so that a silent layer is the identity.

        Under post-LN a silent layer computes LN(LN(x)): the norms in between pass x on and the last one scales it.
        """
        if self.pre_norm or not kind.startswith("norm"):
            return False
        if kind == "norm_out":
            return layer + 1 < len(self.depth) and self.depth[layer + 1].silent
        return self.depth[layer].silent
