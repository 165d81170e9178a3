"""Runs that are interrupted, and their curves."""

import csv
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from growbench.records.layout import Layout
from growbench.train.loop import Trainer

CURVE = Layout("tiny").curve("scratch", 0).parent


def curve(method: str, seed: int = 0) -> list[dict[str, str]]:
    with open(CURVE / f"{method}-s{seed}.csv", encoding="utf-8") as handle:
        return [{k: v for k, v in row.items() if k != "wall_seconds"} for row in csv.DictReader(handle)]


def ending(monkeypatch: pytest.MonkeyPatch, at: set[int], how: Callable[[], None]) -> list[int]:
    """Call `how` in some steps, and return the list of the numbers of all steps that are taken.

    at: positions in that list, from 1, at which `how` is called.
    """
    honest, taken = Trainer.step, []

    def step(self: Trainer, number: int, lr: float) -> Any:
        taken.append(number)
        if len(taken) in at:
            how()
        return honest(self, number, lr)

    monkeypatch.setattr(Trainer, "step", step)
    return taken


def interrupted(monkeypatch: pytest.MonkeyPatch, steps: Sequence[int], run: Callable[[], object]) -> list[int]:
    """Run with an interruption before each of these steps, then to the end; return the numbers of all steps that are taken.

    steps: rising positions among the steps of an undisturbed run, from 1. Asserts that the interrupted step is taken next.
    """
    places = [at + before for before, at in enumerate(steps)]  # each interruption repeats a step
    taken = ending(monkeypatch, set(places), _interrupt)
    for _ in places:
        with pytest.raises(KeyboardInterrupt):
            run()
    run()
    assert all(taken[place] == taken[place - 1] for place in places)
    return taken


def _interrupt() -> None:
    raise KeyboardInterrupt
