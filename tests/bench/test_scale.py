"""The simulated cluster: times that can be computed by hand."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from growbench.study import config

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def scale(bench: Callable[[str], ModuleType]) -> ModuleType:
    return bench("scale")


def row(method: str, flops: float, steps: int = 1000, layers: int = 1) -> dict[str, Any]:
    stage = {"flops": flops, "steps": steps, "parameters": 1000.0}
    return {"method": method, "stages": [stage], "plan": [{"spec": {"layers": layers}}]}


def test_a_run_takes_its_flops_or_its_launches_and_averages_gradients(scale: ModuleType) -> None:
    cluster = scale.Cluster(rate=1e12, launch=0.01, inside=1e6, between=1e5, latency=0.0, disk=1e30, start=5.0)
    assert cluster.run(row("scratch", 1e15), 1, 600.0) == pytest.approx((5 + 1000, 0))
    assert cluster.run(row("scratch", 1e15), 4, 600.0) == pytest.approx((5 + 250 + 6, 6)), "2 x 4,000 bytes x 3/4"
    assert cluster.run(row("scratch", 1e15), 16, 600.0)[1] == pytest.approx(75), "between machines"
    assert cluster.run(row("scratch", 1e12, layers=3), 1, 600.0)[0] == pytest.approx(5 + 30)
    assert cluster.averaging(1e6, 1) == 0


def test_runs_wait_for_a_slot_and_for_the_source(scale: ModuleType) -> None:
    assert scale.makespan([(3, 0), (2, 0), (2, 0)], 1) == 7
    assert scale.makespan([(3, 0), (2, 0), (2, 0)], 2) == 4
    assert scale.makespan([(1, 0), (5, 1)], 8) == 6
    assert scale.makespan([], 3) == 0


def test_more_gpus_are_never_slower_and_stop_paying(scale: ModuleType) -> None:
    study = config.load(ROOT / "config/base.yaml")
    rows = [row("source", 1e17, 10_000, 6), *(row(name, 1e19, 100_000, 12) for name in study.methods)]
    found, stops = scale.table(study, rows, 1024, scale.Cluster())
    days = [float(cells[3]) for cells in found]
    assert days == sorted(days, reverse=True) and found[0][5] == "100%" and len(found) == 11
    assert 1 < stops < 1024
    unbound, _ = scale.table(study, rows, 1024, scale.Cluster(launch=0.0))
    assert float(unbound[-1][3]) < days[-1], "launches bound small steps"
