"""Scoring pairs: known likelihoods give known shares, errors and outcomes, and what cannot be scored is counted."""

import math

import numpy as np
import pytest
from support.testsets import letters

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus.plain import PlainTokenizer
from growbench.pipeline.zeroshot.pairs import TokenizedPairs, measured, prepare
from growbench.records import outcomes, scored
from growbench.tasks.pairs import Pair

GIVEN = [
    Pair("swapped", "a b c d", "a c b d"),
    Pair("swapped", "a b c e", "a c b e"),
    Pair("a/an", "a a b", "a an b"),
    Pair("a/an", "a an e", "a a e"),
    Pair("a/an", "a a d", "a an d"),
    Pair("a/an", "a a c", "a an c"),
]


@pytest.fixture
def tokenizer(tmp_path) -> PlainTokenizer:
    return PlainTokenizer(letters(tmp_path / "tokenizer"))


def result(test: TokenizedPairs, won: list[bool]) -> dict:
    """Return what is measured if these pairs are won; the sentences of a lost pair are equally likely."""
    nats = np.full(len(test.sentences), 5.0)
    nats[test.right[won]] = 4.0
    return measured(test, nats)


def test_the_score_is_the_mean_over_kinds_and_a_tie_is_not_right(tokenizer: PlainTokenizer) -> None:
    test = prepare("pairs", GIVEN, tokenizer, 16, {"pairs": "0" * 64})
    won = [True, False, True, True, True, False]
    found = result(test, won)
    assert found["metrics"] == {"accuracy": (1 / 2 + 3 / 4) / 2, "swapped": 1 / 2, "a/an": 3 / 4}
    assert found["score"] == found["metrics"]["accuracy"] and found["main_metric"] == "accuracy"
    assert found["error"] == pytest.approx(math.sqrt(0.25 / 2 + 0.1875 / 4) / 2)
    assert outcomes.unpacked(found["outcomes"]["swapped"]).tolist() == won[:2]
    assert outcomes.unpacked(found["outcomes"]["a/an"]).tolist() == won[2:]
    assert (found["n_pairs"], found["n_cut"], found["n_lines"]) == (6, 0, 12)
    assert found["n_tokens"] == sum(len(pair.right) + len(pair.wrong) for pair in GIVEN)
    assert found["nats"] == pytest.approx(12 * 5 - sum(won))
    scored.Tested.model_validate({**found, "seconds": 1.0})


def test_groups_of_kinds_are_reported_in_place_of_the_kinds(tokenizer: PlainTokenizer) -> None:
    groups = {"order": ("swapped", "missing"), "words": ("a/an",), "none": ("missing",)}
    test = prepare("BLiMP", GIVEN, tokenizer, 16, {}, groups=groups)
    found = result(test, [True] * 2 + [False] * 4)
    assert found["metrics"] == {"accuracy": 0.5, "order": 1.0, "words": 0.0}
    assert set(found["outcomes"]) == {"swapped", "a/an"}


def test_long_sentences_and_pairs_that_a_tokenizer_cannot_tell_apart_are_left_out_and_counted(tmp_path) -> None:
    lower = PlainTokenizer(letters(tmp_path / "tokenizer", lowercase=True))
    given = [Pair("case", "ab", "AB"), Pair("swapped", "a" * 17 + " b", "b"), Pair("swapped", "a b", "b a")]
    test = prepare("pairs", given, lower, 16, {})
    assert test.cut == 2 and test.kinds == ["swapped"] and len(test.sentences) == 2
    with pytest.raises(GrowBenchError, match="no pair of pairs fits"):
        prepare("pairs", given[:2], lower, 16, {})


def test_nats_that_are_not_finite_fail(tokenizer: PlainTokenizer) -> None:
    test = prepare("pairs", GIVEN, tokenizer, 16, {})
    found = measured(test, np.full(len(test.sentences), math.nan))
    assert found["failed"] and found["score"] is found["nats"] is found["error"] is None
    assert set(found["metrics"].values()) == {None}
    scored.Tested.model_validate({**found, "seconds": 1.0})


@pytest.mark.parametrize("count", [1, 7, 8, 9, 1000])
def test_outcomes_read_back_and_damaged_ones_are_refused(count: int) -> None:
    right = np.random.default_rng(0).random(count) < 0.5
    values = outcomes.packed(right)
    assert (outcomes.unpacked(values) == right).all() and len(values["bits"]) <= count / 6 + 5
    for wrong in ({"n": count + 8}, {"bits": values["bits"] + "AAAA"}, {"bits": "?"}):
        with pytest.raises(ValueError, match="outcomes"):
            outcomes.unpacked({**values, **wrong})
