"""Validation windows: evenly spaced, and every predicted token belongs to its own document."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from growbench.pipeline.corpus.corpus import documents
from growbench.train import loop
from growbench.train.data import PackedSequences
from growbench.train.objective import Batch, CausalLM, MaskedLM, Objective
from growbench.train.processes.ranks import ALONE
from growbench.train.windows import Windows, spaced, windows

SEP, LENGTH = 3, 8
CAUSAL, MASKED = CausalLM(), MaskedLM(0.4, 4, 1000, frozenset({0, 2, SEP}))


def text(lengths: list[int]) -> np.ndarray:
    """Return documents of these lengths, their ends included; each id says its place in the text."""
    ids = np.arange(10, 10 + sum(lengths), dtype=np.uint16)
    ids[np.cumsum(lengths) - 1] = SEP
    return ids


def made(ids: np.ndarray, objective: Objective, most: int, half: int | None = None) -> Windows:
    numbers = documents(ids, SEP)
    wanted = np.ones(len(ids), dtype=bool) if half is None else numbers % 2 == half
    return windows(PackedSequences(ids, LENGTH, 2, 0), objective, numbers, wanted, most)


def owners(found: Windows) -> list[tuple[int, int]]:
    """Return (label, document number) of every predicted token."""
    return [
        (int(label), int(found.numbers[place]))
        for batch, places in zip(found.batches, found.places, strict=True)
        for label, place in zip(batch.labels, places, strict=True)
    ]


@pytest.mark.parametrize(("count", "most", "found"), [(10, 3, [0, 4, 9]), (3, 10, [0, 1, 2]), (5, 1, [0]), (0, 4, [])])
def test_windows_are_evenly_spaced_from_the_first_to_the_last(count: int, most: int, found: list[int]) -> None:
    assert spaced(count, most).tolist() == found


def test_no_number_is_taken_twice() -> None:
    for count in range(1, 60):
        for most in range(1, 60):
            assert len(set(spaced(count, most).tolist())) == min(count, most)


def test_documents_end_with_their_separator() -> None:
    assert documents(np.array([5, 6, SEP, 7, SEP, 8]), SEP).tolist() == [0, 0, 0, 1, 1, 2]


@pytest.mark.parametrize("objective", [CAUSAL, MASKED])
@pytest.mark.parametrize("half", [None, 0, 1])
def test_every_predicted_token_belongs_to_its_own_document(objective: Objective, half: int | None) -> None:
    ids = text([3, 11, 5, 2, 30, 8, 25, 4])
    numbers, found = documents(ids, SEP), made(ids, objective, 100, half)
    for label, number in owners(found):
        assert label == SEP or numbers[label - 10] == number
        assert half is None or number % 2 == half
    tally = [sum(1 for _, number in owners(found) if number == own) for own in found.numbers]
    assert found.tokens.tolist() == tally
    if objective is CAUSAL:  # everything but the end of the text, which fills no window
        inside = numbers[: len(ids) // (LENGTH - 1) * (LENGTH - 1)]
        inside = inside if half is None else inside[inside % 2 == half]
        assert found.numbers.tolist() == sorted(set(inside)) and found.tokens.sum() == len(inside)
    else:
        assert SEP not in [label for label, _ in owners(found)]


def test_half_of_the_documents_still_fills_all_windows() -> None:
    """Windows without a wanted token are passed over, so that a half has as many windows as the whole."""
    ids = text([70] * 20)
    whole, half = made(ids, CAUSAL, 50), made(ids, CAUSAL, 50, 1)
    assert whole.count == half.count == 50 and half.tokens.sum() > 0.9 * whole.tokens.sum()
    assert half.numbers.tolist() == list(range(1, 20, 2)) and len(whole.numbers) == 20


def test_few_windows_reach_the_whole_text() -> None:
    found = made(text([70] * 40), CAUSAL, 40)
    assert found.count == 40 and {0, 39} <= set(found.numbers.tolist()) and len(found.numbers) >= 38


def test_the_loss_of_each_document_is_the_sum_over_its_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(family: Any, model: Any, batch: Batch) -> torch.Tensor:
        return batch.labels.to(torch.float32)

    monkeypatch.setattr(loop, "losses", told)
    ids = text([3, 11, 5, 2, 30, 8, 25, 4] * 20)
    found = made(ids, CAUSAL, 1000)
    compute = SimpleNamespace(device=torch.device("cpu"), cast=torch.no_grad)
    trainer: Any = SimpleNamespace(
        ranks=ALONE,
        model=torch.nn.Identity(),
        compute=compute,
        family=None,
        value=lambda batch, function: function(batch),
    )
    nats = loop.evaluate(trainer, found)
    wanted = {number: 0.0 for number in found.numbers}
    for label, number in owners(found):
        wanted[number] += label
    assert nats.dtype == np.float64 and nats.tolist() == list(wanted.values())
    assert found.loss(nats) == pytest.approx(np.mean([label for label, _ in owners(found)]))
