"""What scratch would gain with one step of its search's grid."""

import pytest

from growbench.analysis.frames.tuning import gains, margin


def trial(lr: float, loss: float | None, warmup: int | None = None) -> dict[str, float | None]:
    return {"lr": lr, "loss": loss} | ({} if warmup is None else {"warmup": warmup})


def test_it_is_the_better_neighbor_s_distance() -> None:
    trials = [trial(1e-3, 5.3), trial(2e-3, 5.0), trial(4e-3, 5.1), trial(8e-3, 9.0)]
    assert margin(trials, "lr") == pytest.approx(0.1)
    assert margin(trials, "warmup") is None, "not searched"


def test_a_neighbor_that_diverged_is_no_neighbor() -> None:
    assert margin([trial(1e-3, 5.3), trial(2e-3, 5.0), trial(4e-3, None)], "lr") == pytest.approx(0.3)
    assert margin([trial(1e-3, 5.3)], "lr") is None and margin([trial(1e-3, None)], "lr") is None


def test_an_axis_is_read_at_the_best_value_of_the_other() -> None:
    trials = [
        trial(1e-3, 5.2, 100), trial(2e-3, 5.0, 100), trial(4e-3, 5.3, 100), trial(2e-3, 4.9, 200), trial(2e-3, 4.95, 400),
        trial(4e-3, 4.92, 200),
    ]  # fmt: skip
    assert margin(trials, "warmup") == pytest.approx(0.05)
    assert margin(trials, "lr") == pytest.approx(0.02)


def test_only_scratch_s_search_counts() -> None:
    record = {"method": "scratch", "trials": [trial(1e-3, 5.0), trial(2e-3, 5.5)]}
    assert gains([{"method": "msg", "trials": []}, record]) == {"lr": pytest.approx(0.5)}
    assert gains([]) == {}
