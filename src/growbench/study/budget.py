"""The config's section `budget`: what a run may spend, and where its finished points lie."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from growbench.study.types import STRICT, Flag, Ratios, Starts, Steps


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class BudgetConfig:
    """What a run may spend, and where its finished points lie."""

    steps: Steps | None
    """Scratch steps whose FLOPs are the largest budget of every method; null with tokens_per_parameter."""
    points: Starts | None
    """Finished points as shares of the largest budget, rising to 1; 0 is the model right after growth. Null with tokens_per_parameter."""
    tokens_per_parameter: Ratios | None
    """In place of steps and points: tokens that scratch trains on per parameter of the target, one finished point each."""
    total: Flag
    """Whether all methods spend the same FLOPs in total at each point: what starts from the source begins at its cost."""
    per_point: Flag
    """Whether a method that grows at shares of its budget, without a source, is trained once per point, with its budget."""
    cooldown: Annotated[float, Field(strict=True, gt=0, lt=0.9)]
    """Share of a finished point's budget spent cooling down to LR 0."""
    protocol: Literal["trunk", "paper"]
    """Constant LR with finished points (trunk), or one linear decay with intermediate points (paper)."""

    @property
    def shares(self) -> tuple[float, ...]:
        """The finished points, as shares of the largest budget."""
        if self.tokens_per_parameter is not None:
            return tuple(ratio / max(self.tokens_per_parameter) for ratio in self.tokens_per_parameter)
        return self.points or ()

    @property
    def first(self) -> float:
        """The first finished point that is trained."""
        return next(share for share in self.shares if share > 0)

    def branch(self, point: float) -> float:
        """Return the share of a run's budget at which the run to a finished point leaves the trunk."""
        return point if self.protocol == "paper" else point * (1 - self.cooldown)
