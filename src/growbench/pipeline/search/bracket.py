"""Which trials a search takes, and what it chooses from their losses. No training here: losses are asked for.

The values of an axis are a factor of 2 apart. Learning rates (LRs) are tried at the middle of the first warm-ups, from
the first LRs on, until a worse loss lies on each side of the best one. Then warm-ups are tried at that LR in the same
way. If another warm-up is better, the LR's neighbors are tried again, and so on until neither moves. The LR that is
chosen is the vertex of the parabola through the best loss and its two neighbors, over log LR.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from growbench.errors import GrowBenchError

Warmup = int | None  # steps; None: as the config says
Ask = Callable[[float, Warmup], float | None]
Place = tuple[int, int]  # steps of the grid along the LRs and along the warm-ups
SIDES = (-1, 1)
DIGITS = 3  # of an LR that is not one of the grid


@dataclass(frozen=True, slots=True)
class Axis:
    """The grid of one setting.

    start: the values that a search starts with, whole factors of 2 apart; of a setting that is not searched, its value.
    searched: whether it is searched.
    whole: whether its values are whole numbers.
    fits: whether a value is possible; where values end, the bound stands for a worse side.
    """

    start: tuple[float, ...]
    searched: bool
    whole: bool = False
    fits: Callable[[float], bool] = lambda value: True

    def steps(self) -> list[int]:
        """Return where the first values lie on the grid, in the order in which they are given."""
        return [round(math.log2(value / self.start[0])) for value in self.start] if self.searched else [0]

    def middle(self) -> int:
        """Return where the middle one of the first values lies."""
        return sorted(self.steps())[len(self.start) // 2]

    def value(self, step: int) -> float | None:
        """Return the value at a place of the grid; None beyond the grid's bounds."""
        if step in (given := self.steps()):
            return self.start[given.index(step)]
        value = self.start[0] * 2.0**step
        if self.whole:
            value, double = round(value), round(2 * value)
            if value == double:  # halves of 1
                return None
        return value if value > 0 and self.fits(value) else None


@dataclass(frozen=True, slots=True)
class Choice:
    """What a search chose.

    lr: peak LR. warmup: steps of the warm-up; None: as the config says.
    bracketed: whether a worse trial, and no bound, lies on each side of the best one along everything that is searched.
    margin: loss of the best neighbor on the grid minus that of the best trial, in nats; None if all neighbors diverged.
    """

    lr: float
    warmup: Warmup
    bracketed: bool
    margin: float | None


def search(lrs: Axis, warmups: Axis | None, ask: Ask, most: int | None = None) -> Choice:
    """Take trials until the best one is bracketed, and return what to train with.

    warmups: None if the warm-up is the config's. ask: returns the loss of a trial in nats, None if it diverged; it is asked
    once for each. most: trials at most. Raises GrowBenchError if they are not enough.
    """
    return _Search((lrs, warmups or Axis((1.0,), searched=False)), warmups is not None, ask, most).run()


@dataclass
class _Search:
    axes: tuple[Axis, Axis]
    in_steps: bool
    ask: Ask
    most: int | None
    losses: dict[Place, float] = field(default_factory=dict)

    def run(self) -> Choice:
        lrs, warmups = self.axes
        at, first = (lrs.middle(), warmups.middle()), True
        while True:
            at = self._settle(0, at, lrs.steps() if first else ())
            moved = self._settle(1, at, warmups.steps() if first else ())
            if moved == at:
                return self._choice(at)
            at, first = moved, False

    def _settle(self, axis: int, at: Place, start: Iterable[int]) -> Place:
        """Return the best place along an axis, once a worse one lies on each side. start: where to try first."""
        if not self.axes[axis].searched:
            self._loss(at)
            return at
        for step in start:
            self._loss(_moved(at, axis, step))
        self._loss(at)
        while True:
            row = [place for place in self.losses if place[1 - axis] == at[1 - axis]]
            best = min(row, key=lambda place: (self.losses[place], place))
            open_place = next((place for side in SIDES if (place := self._open(axis, best, side))), None)
            if open_place is None:
                return best
            self._loss(open_place)

    def _open(self, axis: int, best: Place, side: int) -> Place | None:
        """Return the place to try next on one side of the best one; None if a worse one or a bound is known there.

        Ties are passed: a plateau has no end inside it.
        """
        place = best
        while self.losses.get(place) == self.losses[best]:
            place = _moved(place, axis, place[axis] + side)
        beyond = self.axes[axis].value(place[axis]) is None
        return None if beyond or place in self.losses else place

    def _loss(self, place: Place) -> None:
        """Take the trial of a place, unless it was taken."""
        if place in self.losses:
            return
        if self.most is not None and len(self.losses) >= self.most:
            raise GrowBenchError(self._refusal())
        loss = self.ask(*self._values(place))
        self.losses[place] = math.inf if loss is None else loss

    def _values(self, place: Place) -> tuple[float, Warmup]:
        lr, warmup = (axis.value(step) for axis, step in zip(self.axes, place, strict=True))
        assert lr is not None and warmup is not None
        return lr, int(warmup) if self.in_steps else None

    def _refusal(self) -> str:
        best = min(self.losses, key=lambda place: (self.losses[place], place))
        lr, warmup = self._values(best)
        if self.losses[best] == math.inf:
            lowest = min(self._values(place)[0] for place in self.losses)
            return f"search.most: all {self.most} trials diverge, down to LR {lowest:g}; start search.lrs with smaller ones"
        place = f"LR {lr:g}" + (f" with a warm-up of {warmup} steps" if self.in_steps else "")
        return (
            f"search.most: {self.most} trials do not bracket the best one, so far {place}; start search.lrs and "
            "search.warmups near it, or allow more; finished trials are kept"
        )

    def _choice(self, best: Place) -> Choice:
        searched = [axis for axis in (0, 1) if self.axes[axis].searched]
        lowest, lr = self.losses[best], self._values(best)[0]
        around = [[self.losses.get(_moved(best, axis, best[axis] + side)) for side in SIDES] for axis in searched]
        known = [loss for pair in around for loss in pair if loss is not None]
        finite = [loss for loss in known if loss < math.inf]
        if 0 in searched:
            below, above = around[0]
            lr = float(f"{lr * 2 ** vertex(below, lowest, above):.{DIGITS}g}")
        return Choice(
            lr=lr,
            warmup=self._values(best)[1],
            bracketed=len(known) == 2 * len(searched),
            margin=min(finite) - lowest if finite else None,
        )


def vertex(below: float | None, lowest: float, above: float | None) -> float:
    """Return where the parabola through three losses is lowest, in steps of the grid from the middle one.

    It is 0 if a neighbor is not known or not finite, or if the three are equal.
    """
    if below is None or above is None or math.inf in (below, above):
        return 0.0
    bend = below - 2 * lowest + above
    return 0.5 * (below - above) / bend if bend > 0 else 0.0


def _moved(place: Place, axis: int, step: int) -> Place:
    return (step, place[1]) if axis == 0 else (place[0], step)
