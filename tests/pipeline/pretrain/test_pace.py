"""Which of several processes the others wait for."""

import logging
from dataclasses import dataclass, field

import pytest
import torch
import torch.distributed as dist

from growbench.pipeline.pretrain import pace
from growbench.train.processes.ranks import ALONE, Ranks


@dataclass(frozen=True)
class Four(Ranks):
    """The first of four processes; what the others take for an evaluation is given."""

    count: int = 4
    given: list[list[float]] = field(default_factory=list)

    def total(self, values):
        return self.given.pop(0)


def told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, given: list[list[float]]) -> list[str]:
    """Return what is logged over evaluations that take the processes this long, in seconds."""

    def gather(places, own):
        places[:] = ["a", "a", "b", "b"]

    monkeypatch.setattr(dist, "all_gather_object", gather)
    compared = pace.Pace("scratch-s0", Four(given=given))
    with caplog.at_level(logging.WARNING):
        for _ in given.copy():
            compared.compare()
    return caplog.messages


def test_a_slow_process_is_named_with_its_node_and_once(monkeypatch, caplog) -> None:
    even, slow = [1.0, 1.1, 1.0, 0.9], [1.0, 1.1, 2.5, 1.0]
    (line,) = told(monkeypatch, caplog, [even, slow, slow, slow])
    assert line.startswith("scratch-s0: process 2 of 4, on node b, takes 2.5 times as long as the others")


def test_what_happens_once_or_to_others_in_turn_is_not_a_slow_node(monkeypatch, caplog) -> None:
    even, slow, other = [1.0, 1.1, 1.0, 0.9], [1.0, 1.1, 2.5, 1.0], [2.5, 1.1, 1.0, 1.0]
    assert not told(monkeypatch, caplog, [slow, even, slow, other, slow, even])


def test_a_measure_is_what_it_was(monkeypatch) -> None:
    def measure(family, model, batch):
        return torch.arange(3.0) + batch

    assert pace.Pace("scratch-s0", ALONE).timed(measure) is measure
    compared = pace.Pace("scratch-s0", Four())
    assert torch.equal(compared.timed(measure)(None, None, 2), torch.arange(2.0, 5.0))
    assert 0 < compared.seconds < 1
