"""Many methods: Holm by hand, and what the model confidence set promises, by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from growbench.analysis.statistics.multiplicity import confidence_set, holm


def test_holm_by_hand() -> None:
    found = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": None})
    assert found == {"a": pytest.approx(0.03), "b": pytest.approx(0.06), "c": pytest.approx(0.06), "d": None}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_holm_never_lowers_and_keeps_the_order(values: list[float]) -> None:
    named = {str(i): p for i, p in enumerate(values)}
    found = holm(named)
    assert all(named[name] <= found[name] <= 1 for name in named)
    order = sorted(named, key=named.get)
    assert [found[name] for name in order] == sorted(found.values())


def test_holm_claims_wrongly_in_one_of_twenty_studies() -> None:
    """Ten methods that save nothing: without the correction two of five studies would claim something."""
    p = np.random.default_rng(0).uniform(size=(2_000, 10))
    wrong = [min(holm({str(i): v for i, v in enumerate(row)}).values()) < 0.05 for row in p]
    assert np.mean(wrong) == pytest.approx(0.05, abs=0.015) and (p.min(axis=1) < 0.05).mean() > 0.35


def test_a_clear_loser_leaves_and_equals_stay() -> None:
    noise = 0.01 * np.random.default_rng(3).normal(size=(3, 4))
    found = confidence_set("abcd", noise + np.array([0.0, 0.0, 0.0, 1.0]))
    assert found == {"a": True, "b": True, "c": True, "d": False}
    assert confidence_set("ab", np.array([[0.0, 1.0]])) == {"a": True, "b": True}, "one seed shows nothing"
    assert confidence_set("ab", np.array([[0.0, 0.0], [1.0, 1.0]])) == {"a": True, "b": True}
    assert confidence_set("ab", np.array([[0.0, 0.1], [1.0, 1.1]])) == {"a": True, "b": False}, "the seeds are paired"


@pytest.mark.parametrize("n", [3, 5, 8])
def test_the_best_method_is_in_the_set(n: int) -> None:
    """Eight methods, of which three are equally good and the others 0.05 behind each other, seeds of spread 0.06."""
    draw = np.random.default_rng(n)
    merit = np.array([0.0, 0.0, 0.0, 0.05, 0.1, 0.15, 0.2, 0.25])
    kept = [
        all(confidence_set("abcdefgh", merit + draw.normal(0, 0.06, (n, 8)))[name] for name in "abc")
        for _ in range(300)
    ]
    assert np.mean(kept) >= 0.92
