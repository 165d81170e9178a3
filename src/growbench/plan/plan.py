"""Plan and Stage: a method's schedule as pure data, printable as JSON."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate, pairwise
from typing import Any, Literal

from growbench.errors import GrowBenchError, nearest
from growbench.spec import ModelSpec

Policy = Literal["reset", "copy", "scaled", "asymmetric"]
POLICIES: tuple[Policy, ...] = ("reset", "copy", "scaled", "asymmetric")
Enter = Literal["init", "source", "grow", "keep"]
ENTERS: tuple[Enter, ...] = ("init", "source", "grow", "keep")
Rate = Literal["continue", "rewarm", "shift"]
RATES: tuple[Rate, ...] = ("continue", "rewarm", "shift")


WORDS: dict[str, tuple[str, ...]] = {"enter": ENTERS, "optimizer": POLICIES, "lr": RATES}
INTEGERS = ("top", "block", "pool", "cut")
LARGEST = 1e9
BOUNDS: dict[str, tuple[float, float]] = {  # a stage's numbers: the least and the most; top and block: layers at most
    "until": (0, 1), "shift": (0, LARGEST), "slope": (-LARGEST, 0), "mask": (0, 1), "teacher": (0, 1),
    "temperature": (1e-3, LARGEST), "top": (1, LARGEST), "block": (1, LARGEST), "pool": (1, LARGEST),
    "cut": (1, LARGEST), "rank": (1e-6, 1),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """Train one spec until a share of the largest budget is spent.

    spec: shape of the model that is trained.
    until: cumulative share of the largest budget at the stage's end, in (0, 1].
    enter: `init` (random start), `source` (growth of the trained source), `grow` (growth of the model of the stage
        before) or `keep` (that model as it is).
    optimizer: what happens to Adam's moments when the stage begins (growth/moments.py).
    lr: the global schedule continues, is warmed up again, or continues from another place (plan/schedule.py).
    shift: that place, as a multiple of the share of the budget that is spent.
    slope: ends the stage earlier, when the loss becomes flatter than this slope (plan/slope.py).
    mask: share of the largest budget, from the stage's start, over which the masks of what growth added are lifted.
    teacher: weight of the source's predictions in the loss at the stage's start; it falls to 0 at its end
        (train/variants/teacher.py).
    temperature: of those predictions.
    top: number of top layers that learn, with the head; the others only run forward. None: all learn.
    block: each step runs one of the depths block, 2 block, ..., layers; its top `block` layers and the head learn.
    pool: number of tokens whose embeddings are averaged into one (train/variants/pool.py).
    cut: only the first 1/cut of each sequence is read.
    rank: rank of the FFN's matrices as products of two factors, as a fraction; None: stock (train/variants/thin.py).
    shared: whether every second layer shares the attention of the one below.

    Raises GrowBenchError, one line with key, value and what is allowed, if a value is out of its bounds.
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
        for key, words in WORDS.items():
            if (value := getattr(self, key)) not in words:
                raise GrowBenchError(f"{key}: unknown value {value!r}; {nearest(str(value), words)}")
        if not isinstance(self.shared, bool):
            raise GrowBenchError(f"shared: {self.shared!r} is not allowed; use true or false")
        for key, (low, high) in BOUNDS.items():
            if (value := getattr(self, key)) is not None or key not in ("slope", "top", "block", "rank"):
                _check_number(key, value, low, self.spec.layers if key in ("top", "block") else high)
        if self.block is not None and self.spec.layers % self.block:
            raise GrowBenchError(
                f"block: {self.block} does not divide {self.spec.layers} layers; use a divisor of that number"
            )

    @property
    def thin(self) -> tuple[float | None, bool]:
        """How its model differs from the stock one: (rank, shared); (None, False) if it does not."""
        return self.rank, self.shared

    def submodels(self) -> tuple[tuple[int, int], ...]:
        """Return (layers that run, top layers that learn) of each kind of step; all kinds occur equally often."""
        layers = self.spec.layers
        if self.block is not None:
            return tuple((depth, self.block) for depth in range(self.block, layers + 1, self.block))
        return ((layers, self.top or layers),)


def _check_number(key: str, value: Any, low: float, high: float) -> None:
    """Raise GrowBenchError unless a value is a number, or an integer, within its bounds."""
    integral = key in INTEGERS
    if isinstance(value, int if integral else int | float) and not isinstance(value, bool) and low <= value <= high:
        return
    bounds = f"from {low:g} to {high:g}"
    if high == LARGEST:
        bounds = f"of at least {low:g}"
    elif low == -LARGEST:
        bounds = f"of at most {high:g}"
    raise GrowBenchError(f"{key}: {value!r} is not allowed; use {'an integer' if integral else 'a number'} {bounds}")


@dataclass(frozen=True, slots=True)
class Prices:
    """What a method may know about its study when it makes a plan.

    budget: FLOPs of the largest budget.
    step: returns the FLOPs of one step of a stage.
    tokens: number of tokens that a step of whole sequences reads.
    parameters: number of parameters in the target's matrices.
    """

    budget: float
    step: Callable[[Stage], float]
    tokens: int
    parameters: float


def in_steps(rows: Sequence[tuple[float, Stage]], prices: Prices, share: float = 1.0) -> tuple[Stage, ...]:
    """Return stages that together spend a share of the largest budget.

    rows: (length in steps, stage); only the ratios of the lengths matter.
    """
    spent = list(accumulate(steps * prices.step(stage) for steps, stage in rows))
    ends = [share * part / spent[-1] for part in spent[:-1]] + [share]
    return tuple(replace(stage, until=end) for (_, stage), end in zip(rows, ends, strict=True))


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Stages in order; the last one ends at share 1.

    Raises GrowBenchError for stages that do not follow one another.
    """

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        ends = [stage.until for stage in self.stages]
        if not ends or ends[-1] != 1.0 or any(a >= b for a, b in zip([0.0, *ends], ends, strict=False)):
            raise GrowBenchError(f"plan: stages end at {ends}; `until` must increase, start above 0 and end at 1")
        if self.stages[0].enter in ("grow", "keep"):
            raise GrowBenchError("plan: the first stage has no model to grow; enter it by 'init' or 'source'")
        for number, (before, stage) in enumerate(pairwise(self.stages), 1):
            if stage.enter in ("init", "source"):
                raise GrowBenchError(
                    f"plan: stage {number} would discard the stages before it; enter it by 'grow' or 'keep'"
                )
            if stage.enter == "keep" and stage.spec != before.spec:
                raise GrowBenchError(
                    f"plan: {before.spec.short()} cannot be kept as {stage.spec.short()}; enter it by 'grow'"
                )

    def start(self, stage: int) -> float:
        """Return the share of the largest budget at which a stage begins, at the latest."""
        return self.stages[stage - 1].until if stage > 0 else 0.0

    def settled(self, warmup: float) -> float:
        """Return the share of the run's own budget from which the target trains as a whole, unmasked and warmed up."""
        last = self.stages[-1]
        return self.start(len(self.stages) - 1) + max(last.mask, warmup if last.lr != "continue" else 0.0)

    def events(self, branches: Mapping[float, float]) -> list[tuple[float, Literal["stage", "point"], float]]:
        """Return what happens at which share of the largest budget, in order.

        An event is (share, "stage", the next stage's number) or (share, "point", its fraction).
        branches: for each point's fraction, the share at which its run leaves the trunk.
        """
        ends = [(stage.until, 0, float(number)) for number, stage in enumerate(self.stages[:-1], 1)]
        points = [(share, 1, fraction) for fraction, share in branches.items()]
        return [(share, "point" if kind else "stage", what) for share, kind, what in sorted([*ends, *points])]

    def to_list(self) -> list[dict[str, Any]]:
        return [asdict(stage) for stage in self.stages]
