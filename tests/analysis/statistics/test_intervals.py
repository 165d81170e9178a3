"""Intervals against distributions that can be written down."""

import numpy as np
import pytest

from growbench.analysis.statistics import intervals


def test_every_resample_is_enumerated_for_few_runs() -> None:
    rows, counts = intervals.resamples(3)
    assert counts.sum() == 27 and len(rows) == 10
    assert counts[[list(row) == [0, 1, 2] for row in rows.tolist()]].tolist() == [6]


def test_many_runs_use_a_fixed_seed() -> None:
    first = intervals.resamples(8)
    intervals.resamples.cache_clear()
    again = intervals.resamples(8)
    assert first[1].sum() == intervals.DRAWS
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])


def test_one_run_has_no_interval() -> None:
    found = intervals.mean_interval(np.array([1.5]))
    assert found.lo is None and found.hi is None


def test_equal_runs_have_an_interval_of_zero_width() -> None:
    found = intervals.mean_interval(np.full(4, 2.25))
    assert found.lo == found.hi == 2.25


def test_three_runs_give_their_range() -> None:
    """Each extreme resample has probability 1/27 > 2.5 %, so that both ends are single runs."""
    found = intervals.mean_interval(np.array([3.0, 1.0, 2.0]))
    assert (found.lo, found.hi) == (1.0, 3.0)


def test_many_runs_agree_with_the_normal_approximation() -> None:
    values = np.random.default_rng(1).normal(size=40)
    found = intervals.mean_interval(values)
    half = 1.96 * values.std() / np.sqrt(40)
    assert found.lo == pytest.approx(values.mean() - half, abs=0.05)
    assert found.hi == pytest.approx(values.mean() + half, abs=0.05)


def test_open_ends_where_resamples_are_censored() -> None:
    counts = np.array([1, 98, 1])
    clean = intervals.interval(np.array([-np.inf, 0.2, 0.3]), np.array([-np.inf, 0.2, np.inf]), counts)
    assert (clean.lo, clean.hi) == (0.2, 0.2)
    counts = np.array([5, 90, 5])
    found = intervals.interval(np.array([-np.inf, 0.2, 0.3]), np.array([-np.inf, 0.2, np.inf]), counts)
    assert found.lo is None and found.hi is None


def test_pairing_removes_what_the_seeds_share() -> None:
    shared = np.array([0.0, 0.4, -0.3])
    method, scratch = 2.0 + shared, 2.5 + shared
    found = intervals.mean_interval(method - scratch)
    assert found.lo == pytest.approx(-0.5) and found.hi == pytest.approx(-0.5)
