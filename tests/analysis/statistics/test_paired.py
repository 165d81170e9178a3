"""Estimates over paired seeds against the textbook, and against simulations of what they promise."""

import numpy as np
import pytest
from scipy import stats

from growbench.analysis.statistics.paired import Estimate, estimate, shared_error

VALUES = np.array([-0.30, -0.21, -0.27])


def test_without_documents_it_is_the_one_sample_t_test() -> None:
    found, wanted = estimate(VALUES), stats.ttest_1samp(VALUES, 0.0)
    ends = wanted.confidence_interval(0.95)
    assert found.p_value() == pytest.approx(wanted.pvalue)
    assert (found.interval().lo, found.interval().hi) == (pytest.approx(ends.low), pytest.approx(ends.high))
    assert (found.n, found.freedom) == (3, 2)


def test_one_seed_says_nothing() -> None:
    found = estimate(VALUES[:1], 0.1, 50)
    assert found.mean == VALUES[0] and found.error is None and found.interval().lo is None
    assert found.p_value() is None and found.detectable() is None and found.level_within(10.0) is None


def test_documents_widen_the_interval_and_add_degrees_of_freedom() -> None:
    plain, both = estimate(VALUES), estimate(VALUES, 0.03, 110)
    assert both.error == pytest.approx(np.hypot(plain.error, 0.03))
    assert 2 < both.freedom < 111
    assert estimate(VALUES, 1e3, 110).freedom == pytest.approx(109, rel=1e-3), "documents alone"
    assert estimate(VALUES, 1e-9, 110).freedom == pytest.approx(2, rel=1e-3), "seeds alone"


def test_only_what_seeds_share_counts_as_the_documents_error() -> None:
    draw = np.random.default_rng(0)
    shared, own = draw.normal(0, 0.2, (20_000, 1)), draw.normal(0, 0.5, (20_000, 4))
    assert shared_error(shared + own) == pytest.approx(0.2, rel=0.05)
    assert shared_error(own) == pytest.approx(0.0, abs=0.06)
    assert shared_error(shared) == 0.0, "one seed shares with none"


def test_what_is_detectable_is_detected_with_that_probability() -> None:
    """4,000 studies of three seeds whose mean is what one of them could detect; their spread is known."""
    true = Estimate(mean=0.0, error=0.1 / np.sqrt(3), freedom=2, n=3).detectable()
    studies = np.random.default_rng(1).normal(true, 0.1, (4_000, 3))
    found = stats.ttest_1samp(studies, 0.0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize(("mean", "spread", "level"), [(0.0, 0.002, True), (0.0, 0.02, False), (0.019, 0.002, False)])
def test_level_is_shown_not_assumed(mean: float, spread: float, level: bool) -> None:
    """A wide interval around 0 is no evidence of being level, though its p value is 1."""
    values = mean + spread * np.array([-1.0, 0.0, 1.0])
    assert estimate(values).level_within(0.02) is level


def test_level_is_claimed_wrongly_in_one_of_twenty_studies() -> None:
    """Two one-sided tests at 5 %: at the margin itself, the claim is made with at most that probability."""
    studies = np.random.default_rng(2).normal(0.02, 0.005, (2_000, 3))
    wrong = [estimate(values).level_within(0.02) for values in studies]
    assert np.mean(wrong) <= 0.06


def test_equal_seeds_are_certain() -> None:
    assert estimate(np.full(3, 0.5)).p_value() == 0.0 and estimate(np.zeros(3)).p_value() == 1.0
