"""Plan and Stage: a method's schedule as pure data, printable as JSON."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate, pairwise
from typing import Any, Literal

from growbench.errors import GrowBenchError
from growbench.spec import ModelSpec

Policy = Literal["reset", "copy", "scaled", "asymmetric"]
POLICIES: tuple[Policy, ...] = ("reset", "copy", "scaled", "asymmetric")
Enter = Literal["init", "source", "grow", "keep"]
ENTERS: tuple[Enter, ...] = ("init", "source", "grow", "keep")
Rate = Literal["continue", "rewarm", "shift"]
RATES: tuple[Rate, ...] = ("continue", "rewarm", "shift")


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """Train one spec until a share of the largest budget is spent.

    until: cumulative share of the largest budget at the stage's end, in (0, 1]. enter: `init` (random start),
    `source` (growth of the trained source), `grow` (growth of the stage before) or `keep` (its model as it is).
    optimizer: what becomes of Adam's moments on entry (growth/moments.py). lr, shift: the global schedule goes on, is
    warmed up again, or goes on from `shift` times the share that is spent (train/schedule.py). slope: the stage ends
    earlier, once the loss has become flatter than this slope (train/slope.py). mask: share of the largest budget, from
    the stage's start, over which masks over what growth added are lifted. teacher, temperature: what the source's
    predictions weigh in the loss at the stage's start, falling to 0 at its end (train/teacher.py). top: only so many top
    layers and the head learn, the others run forward. block: each step runs one of the depths block, 2 block, ...,
    layers, and its top `block` layers and the head learn. pool: tokens whose embeddings are averaged into one
    (train/pool.py). cut: only the first 1/cut of every sequence is read. rank, shared: the FFN's matrices are products of
    factors of this rank, and every second layer shares the attention of the one below (train/thin.py).
    """

    spec: ModelSpec
    until: float
    enter: Enter
    optimizer: Policy = "reset"
    lr: Rate = "continue"
    shift: float = 1.0
    slope: float | None = None
    mask: float = 0.0
    teacher: float = 0.0
    temperature: float = 1.0
    top: int | None = None
    block: int | None = None
    pool: int = 1
    cut: int = 1
    rank: float | None = None
    shared: bool = False

    def __post_init__(self) -> None:
        for key in ("top", "block"):
            value = getattr(self, key)
            if value is not None and not 1 <= value <= self.spec.layers:
                raise GrowBenchError(
                    f"plan: a stage of {self.spec.layers} layers has {key} {value}; use 1..{self.spec.layers}"
                )
        if self.block is not None and self.spec.layers % self.block:
            raise GrowBenchError(
                f"plan: block {self.block} does not divide {self.spec.layers} layers; use a divisor of them"
            )

    @property
    def thin(self) -> tuple[float | None, bool]:
        """What its model lacks of the stock one; falsy values: nothing."""
        return self.rank, self.shared

    def submodels(self) -> tuple[tuple[int, int], ...]:
        """(layers that run, top layers that learn) of the kinds of step, each of which comes equally often."""
        layers = self.spec.layers
        if self.block is not None:
            return tuple((depth, self.block) for depth in range(self.block, layers + 1, self.block))
        return ((layers, self.top or layers),)


@dataclass(frozen=True, slots=True)
class Prices:
    """What a method may know of its study when it makes a plan.

    budget: FLOPs of the largest budget. step: FLOPs of one step of a stage. tokens: read by a step of whole sequences.
    parameters: of the target, in its matrices.
    """

    budget: float
    step: Callable[[Stage], float]
    tokens: int
    parameters: float


def in_steps(rows: Sequence[tuple[float, Stage]], prices: Prices, share: float = 1.0) -> tuple[Stage, ...]:
    """Stages that together spend a share of the largest budget, their lengths given in steps, relative to one another."""
    spent = list(accumulate(steps * prices.step(stage) for steps, stage in rows))
    ends = [share * part / spent[-1] for part in spent[:-1]] + [share]
    return tuple(replace(stage, until=end) for (_, stage), end in zip(rows, ends, strict=True))


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Stages in order; the last one ends at share 1 and trains the target."""

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        ends = [stage.until for stage in self.stages]
        if not ends or ends[-1] != 1.0 or any(a >= b for a, b in zip([0.0, *ends], ends, strict=False)):
            raise GrowBenchError(f"plan: stages end at {ends}; shares must rise from above 0 to 1")
        if self.stages[0].enter in ("grow", "keep"):
            raise GrowBenchError("plan: the first stage has nothing to grow; enter it by 'init' or 'source'")
        for number, (before, stage) in enumerate(pairwise(self.stages), 1):
            if stage.enter in ("init", "source"):
                raise GrowBenchError(
                    f"plan: stage {number} would throw away those before it; enter it by 'grow' or 'keep'"
                )
            if stage.enter == "keep" and stage.spec != before.spec:
                raise GrowBenchError(f"plan: {before.spec.short()} is kept as {stage.spec.short()}; enter it by 'grow'")

    def start(self, stage: int) -> float:
        """Share of the largest budget at which a stage begins, at the latest."""
        return self.stages[stage - 1].until if stage > 0 else 0.0

    def settled(self, warmup: float) -> float:
        """Share of the largest budget from which on the target trains as a whole, unmasked and warmed up."""
        last = self.stages[-1]
        return self.start(len(self.stages) - 1) + max(last.mask, warmup if last.lr != "continue" else 0.0)

    def events(self, branches: Mapping[float, float]) -> list[tuple[float, Literal["stage", "point"], float]]:
        """Return what happens at which share of the largest budget, in order: (share, "stage", the next stage's number)
        and (share, "point", its fraction). branches: by fraction, the share at which the run to a point leaves the trunk.
        """
        ends = [(stage.until, 0, float(number)) for number, stage in enumerate(self.stages[:-1], 1)]
        points = [(share, 1, fraction) for fraction, share in branches.items()]
        return [(share, "point" if kind else "stage", what) for share, kind, what in sorted([*ends, *points])]

    def to_list(self) -> list[dict[str, Any]]:
        return [asdict(stage) for stage in self.stages]
