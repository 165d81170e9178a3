"""Growth: one growth, ready to be applied."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from growbench.errors import GrowBenchError
from growbench.growth.depth import Depth
from growbench.growth.widening import Widening
from growbench.spec import ModelSpec

if TYPE_CHECKING:
    from growbench.families import Family


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Shapes, maps, depth, and what new entries start from.

    tied: the head shares the token table. output_norm: end of the target's name of the norm that feeds the head.
    pre_norm: blocks normalise their input. init_std: standard deviation of new weights. seed: of new weights and noise.
    Raises GrowBenchError when the depth map has not one entry for each target layer, or names a layer that is not there.
    """

    family: "Family"
    source: ModelSpec
    target: ModelSpec
    widening: Widening
    depth: Depth
    tied: bool
    output_norm: str | None
    pre_norm: bool
    init_std: float
    seed: int

    def __post_init__(self) -> None:
        if len(self.depth) != self.target.layers:
            raise GrowBenchError(
                f"depth map: {len(self.depth)} layers for a target of {self.target.layers}; give one entry a layer"
            )
        for t, layer in enumerate(self.depth):
            for s, _ in layer.sources:
                if not 0 <= s < self.source.layers:
                    raise GrowBenchError(
                        f"depth map: target layer {t} names source layer {s}; use 0..{self.source.layers - 1}"
                    )

    def passes_on(self, layer: int, kind: str) -> bool:
        """Whether a norm of a target layer must only normalise (gain 1, shift 0), so that a silent layer is the identity.

        Under post-LN a silent layer computes LN(LN(x)): the norms in between pass x on and the last one scales it.
        """
        if self.pre_norm or not kind.startswith("norm"):
            return False
        if kind == "norm_out":
            return layer + 1 < len(self.depth) and self.depth[layer + 1].silent
        return self.depth[layer].silent
