"""Choosing spans: the best ones equal those of a full search, and no answer is given if its score is higher."""

import numpy as np
import torch
from support.questions import ask

from growbench.pipeline.finetune import spans


def test_the_best_spans_equal_those_of_a_full_search() -> None:
    rng = torch.Generator().manual_seed(0)
    start, end = torch.randn(2, 3, 9, generator=rng)
    inside = torch.zeros(3, 9, dtype=torch.bool)
    inside[:, 2:8] = True
    scores, firsts, lasts = spans.best_spans(start, end, inside, 3, 6)
    for row in range(3):
        every = sorted(
            ((float(start[row, i] + end[row, j]), i, j) for i in range(2, 8) for j in range(i, min(8, i + 3))),
            reverse=True,
        )
        found = zip(scores[row].tolist(), firsts[row].tolist(), lasts[row].tolist(), strict=True)
        assert [(i, j) for _, i, j in found] == [(i, j) for _, i, j in every[:6]]
    few = spans.best_spans(start, end, inside & (torch.arange(9) == 4), 3, 6)[0]
    assert torch.isfinite(few).sum(1).tolist() == [1, 1, 1]


def test_candidates_of_spaces_are_skipped() -> None:
    assert spans.choose("ab  cd", [(3.0, 2, 4), (2.0, 4, 6), (1.0, 0, 2)]) == ("cd", 2.0)
    assert spans.choose("ab", []) == ("", float("-inf"))


def test_no_answer_is_given_if_its_score_is_higher() -> None:
    asked = [ask("q", "x y", "x"), ask("q", "x y", "y"), ask("q", "x y"), ask("q", "x y")]
    chosen = [("x", 1.0), ("y", 1.0), ("x", 1.0), ("x", 1.0)]
    silence = np.array([0.0, 2.5, 2.0, 4.0])  # differences -1, 1.5, 1, 3
    found = spans.outcome("SQuAD2.0", asked, chosen, silence, True)
    assert found.metrics["f1"] == 0.75 and found.metrics["exact_match"] == 0.75
    assert found.metrics["best_f1"] == 0.75 and found.metrics["best_f1_threshold"] == -1.0
    silence[1] = 1.5
    found = spans.outcome("SQuAD2.0", asked, chosen, silence, True)
    assert found.metrics["best_f1"] == 1.0 and found.metrics["best_f1_threshold"] == 0.5 and not found.constant
    plain = spans.outcome("SQuAD1.1", asked[:2], chosen[:2], silence[:2], True)
    assert plain.metrics == {"exact_match": 1.0, "f1": 1.0}
    assert spans.outcome("SQuAD2.0", asked, chosen, silence + 9, True).constant, "silent everywhere"
