"""The LR of a stage, and the slope of the loss that ends one."""

import numpy as np
import pytest

from growbench.plan.schedule import Schedule, cooldown
from growbench.plan.slope import WINDOW, flattened


def curve(policy: str, **values: float) -> Schedule:
    return Schedule(1.0, 10.0, 10.0, 110.0, "paper", policy, **values)  # type: ignore[arg-type]


def test_the_lr_goes_on_is_warmed_up_again_or_shifted() -> None:
    plain, again = curve("continue", began=30.0), curve("rewarm", began=30.0)
    assert [plain.lr(x, 1.0) for x in (4.0, 10.0, 60.0, 110.0)] == [0.5, 1.0, 0.5, 0.0]
    assert again.lr(30.0, 1.0) == pytest.approx(0.1 * plain.lr(30.0, 1.0))
    assert [again.lr(x, 1.0) for x in (39.0, 80.0)] == [plain.lr(x, 1.0) for x in (39.0, 80.0)]
    shifted = curve("shift", began=30.0, shift=2.0)
    assert shifted.lr(70.0, 1.0) == pytest.approx(plain.lr(85.0, 1.0)) and shifted.lr(109.9, 0.1) < 0.01
    same = curve("shift", began=30.0, shift=1.0)
    assert [same.lr(x, 1.0) for x in (31.0, 50.0, 90.0)] == pytest.approx(
        [again.lr(x, 1.0) for x in (31.0, 50.0, 90.0)]
    )


def test_a_slope_fires_where_the_curve_passes_it() -> None:
    """L = c + F^-a has the slope -a F^-a / (c + F^-a), which passes s where F^-a = c s / (a - s)."""
    a, c, s = 0.5, 1.0, 0.05
    where = (c * s / (a - s)) ** (-1 / a)
    grid = np.geomspace(1.0, 1000.0, 200)
    losses = c + grid**-a
    first = next(n for n in range(len(grid)) if flattened(grid[:n], losses[:n], -s))
    assert grid[first - 1] == pytest.approx(where, rel=0.15) and grid[first - 1] > where
    assert not flattened(grid, losses, -1e-6)


def test_a_plateau_at_the_start_is_not_the_end_of_learning() -> None:
    flops = np.arange(1.0, 101.0)
    plateau = np.full(100, 6.0) + 1e-4 * np.sin(flops)
    assert not flattened(flops, plateau, -0.05)
    falling = np.where(flops < 40, 6.0, 6.0 * (np.maximum(flops, 40) / 40) ** -0.8)
    assert not flattened(flops, falling, -0.05)
    learnt = np.maximum(falling, falling[69])
    assert flattened(flops, learnt, -0.05) and not flattened(flops[:60], learnt[:60], -0.05)
    assert not flattened(flops[:WINDOW], learnt[:WINDOW], -0.05)


def test_the_trunk_is_constant_after_warmup_the_paper_s_schedule_falls_and_a_cooldown_ends_at_zero() -> None:
    trunk = Schedule(1.0, 10.0, 10.0, 100.0, "trunk")
    assert [trunk.lr(s, 1.0) for s in (0, 4, 50, 99)] == [0.1, 0.5, 1.0, 1.0]
    paper = Schedule(1.0, 10.0, 10.0, 100.0, "paper")
    assert paper.lr(55.0, 1.0) == pytest.approx(0.5) and paper.lr(100.0, 1.0) == 0.0
    rates = [cooldown(1.0, 9, i) for i in range(9)]
    assert rates == sorted(rates, reverse=True) and 0 < rates[-1] < rates[0] < 1
