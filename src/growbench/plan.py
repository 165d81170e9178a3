"""Plan and Stage: a method's schedule as pure data, printable as JSON."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from growbench.errors import GrowBenchError
from growbench.spec import ModelSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """Train one spec until a share of the largest budget is spent.

    until: cumulative share of the largest budget at the stage's end, in (0, 1]. enter: `init` (random start),
    `source` (growth of the trained source) or `grow` (growth of the stage before). optimizer: what becomes of Adam's
    moments on entry (growth/moments.py). lr: the global schedule goes on. mask: share of the largest budget, from the
    stage's start, over which masks over what growth added are lifted.
    """

    spec: ModelSpec
    until: float
    enter: Literal["init", "source", "grow"]
    optimizer: Literal["reset", "copy", "scaled", "asymmetric"] = "reset"
    lr: Literal["continue"] = "continue"
    mask: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Stages in order; the last one ends at share 1 and trains the target."""

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        ends = [stage.until for stage in self.stages]
        if not ends or ends[-1] != 1.0 or any(a >= b for a, b in zip([0.0, *ends], ends, strict=False)):
            raise GrowBenchError(f"plan: stages end at {ends}; shares must rise from above 0 to 1")
        if self.stages[0].enter == "grow":
            raise GrowBenchError("plan: the first stage has nothing to grow; enter it by 'init' or 'source'")

    @property
    def last_growth(self) -> float:
        """Share of the largest budget at which the target exists, its masks lifted."""
        return self.start(len(self.stages) - 1) + self.stages[-1].mask

    def start(self, stage: int) -> float:
        """Share of the largest budget at which a stage begins."""
        return self.stages[stage - 1].until if stage > 0 else 0.0

    def to_list(self) -> list[dict[str, Any]]:
        return [asdict(stage) for stage in self.stages]
