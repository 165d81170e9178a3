"""Intervals against distributions that can be written down."""

import numpy as np
import pytest
from scipy import stats

from growbench.analysis.statistics import intervals


def test_one_run_has_no_interval() -> None:
    found = intervals.mean_interval(np.array([1.5]))
    assert found.lo is None and found.hi is None


def test_equal_runs_have_an_interval_of_zero_width() -> None:
    found = intervals.mean_interval(np.full(4, 2.25))
    assert found.lo == found.hi == 2.25


def test_three_runs_have_the_t_interval_of_the_textbook() -> None:
    """Mean 2, standard error 1 / sqrt(3), 97.5 % point 4.3027 at two degrees of freedom."""
    found = intervals.mean_interval(np.array([3.0, 1.0, 2.0]))
    assert found.lo == pytest.approx(2 - 4.302653 / np.sqrt(3)) and found.hi == pytest.approx(2 + 4.302653 / np.sqrt(3))


@pytest.mark.parametrize("n", [2, 3, 5, 8])
def test_the_interval_is_scipy_s(n: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    wanted = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    found = intervals.mean_interval(values)
    assert (found.lo, found.hi) == (pytest.approx(wanted.low), pytest.approx(wanted.high))


def test_pairing_removes_what_the_seeds_share() -> None:
    shared = np.array([0.0, 0.4, -0.3])
    method, scratch = 2.0 + shared, 2.5 + shared
    found = intervals.mean_interval(method - scratch)
    assert found.lo == pytest.approx(-0.5) and found.hi == pytest.approx(-0.5)


def test_a_percentile_interval_ends_on_draws() -> None:
    found = intervals.percentile_interval(np.arange(1.0, 1001.0))
    assert (found.lo, found.hi) == (25.0, 975.0)
