"""Labels and ticks of the figures' axes."""

import pytest

from growbench.analysis.figures import axes


def test_labels_are_moved_apart_as_little_as_possible() -> None:
    assert axes.apart([0.1, 0.5, 0.9], 0.1) == [0.1, 0.5, 0.9]
    assert axes.apart([0.5, 0.5, 0.9], 0.1) == pytest.approx([0.45, 0.55, 0.9])
    assert axes.apart([0.48, 0.5, 0.52, 0.54], 0.1) == pytest.approx([0.36, 0.46, 0.56, 0.66])


def test_ticks_are_round_few_and_inside() -> None:
    for low, high, most in ((8e13, 1.2e14, 2), (1e13, 1.1e14, 5), (3e12, 7e18, 5), (9.1e13, 9.9e13, 3)):
        ticks = axes.round_ticks(low, high, most)
        assert len(ticks) <= most and all(low <= tick <= high for tick in ticks)
    assert axes.power(2e13) == "2×10¹³" and axes.power(1e14) == "10¹⁴" and axes.power(1.2e14) == "1.2×10¹⁴"
