"""The loss right after a growth and after a short lag, from plans and curves written by hand."""

import io
from typing import Any

import pandas as pd
import pytest

from growbench.analysis.frames import starts
from growbench.errors import GrowBenchError
from growbench.records.curve import COLUMNS

HEAD = ",".join(COLUMNS)


def stage(enter: str, **values: Any) -> dict[str, Any]:
    return {"enter": enter, **values}


PLANS = [
    ([stage("init")], 0),
    ([stage("source")], 0),
    ([stage("source", block=1), stage("keep")], 0),  # bert2BERT: sub-models first, the same network
    ([stage("init"), stage("grow", top=1), stage("keep", top=None)], 1),  # MSLT: new layers first
    ([stage("init"), stage("grow"), stage("grow")], 2),
    ([stage("init", pool=2), stage("keep", pool=1)], 1),  # CompoundGrow, length alone
    ([stage("init", cut=2), stage("keep", cut=1)], 1),
    ([stage("init", shared=True), stage("keep", shared=False)], 1),
    ([stage("init", rank=0.2), stage("keep", rank=None)], 1),
]


@pytest.mark.parametrize(("plan", "last"), PLANS)
def test_the_last_growth_is_where_the_network_changes(plan: list[dict[str, Any]], last: int) -> None:
    assert starts.last_growth(plan) == last


def record(*plan: dict[str, Any]) -> dict[str, Any]:
    return {"method": "m", "seed": 0, "plan": list(plan), "points": [{"budget_flops": 100.0}]}


def curve(rows: list[tuple[str, int, float, float | str]]) -> pd.DataFrame:
    """Return a curve from (phase, stage, FLOPs, validation loss)."""
    lines = [f"{i},{phase},{s},,{flops},{flops},0,0,,{loss},0" for i, (phase, s, flops, loss) in enumerate(rows)]
    return pd.read_csv(io.StringIO("\n".join([HEAD, *lines])))


ROWS = [
    ("trunk", 0, 0.0, 6.0), ("trunk", 0, 10.0, 5.0), ("trunk", 1, 10.0, 5.5), ("trunk", 1, 11.0, 5.4),
    ("cooldown", 1, 11.9, 1.0), ("trunk", 1, 11.5, ""), ("trunk", 1, 12.0, 5.3), ("trunk", 2, 12.0, 5.3),
    ("trunk", 2, 20.0, 4.0),
]  # fmt: skip


def test_the_lag_ends_at_the_first_trunk_evaluation_after_two_per_cent() -> None:
    """Neither the cool-down nor a row without a validation loss counts; 2 % exactly does."""
    run = record(stage("init"), stage("grow"), stage("keep"))
    found = starts.build([run], {("m", 0): curve(ROWS)})["m", 0]
    assert found == {"loss_after_growth": 5.5, "lag_loss": 5.3, "lag": pytest.approx(0.02), "grown_loss": None}


def test_a_source_that_grew_has_its_own_loss() -> None:
    """The source grows at stage 0, the network changes once more at stage 2."""
    run = record(stage("source"), stage("keep"), stage("grow"))
    found = starts.build([run], {("m", 0): curve(ROWS)})["m", 0]
    assert found == {"loss_after_growth": 5.3, "lag_loss": 4.0, "lag": pytest.approx(0.08), "grown_loss": 6.0}


def test_without_an_evaluation_after_it_there_is_no_lag() -> None:
    run = record(stage("init"), stage("grow"))
    found = starts.build([run], {("m", 0): curve(ROWS[:4])})["m", 0]
    assert found["lag_loss"] is None and found["lag"] is None


def test_a_curve_without_the_stage_is_named() -> None:
    run = record(stage("init"), stage("grow"))
    with pytest.raises(GrowBenchError, match=r"m-s0: its curve has no trunk row of stage 1"):
        starts.build([run], {("m", 0): curve(ROWS[:2])})
