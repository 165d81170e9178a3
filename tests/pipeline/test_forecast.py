"""What `growbench plan` forecasts is what a run costs."""

from pathlib import Path

import pytest
from support.tiny import OTHERS, result, tiny

from growbench.pipeline import forecast
from growbench.pipeline.pretrain import run as pretrain
from growbench.study import timeline
from growbench.study.study import Study


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.chdir(tmp_path)
    return tiny(tmp_path, others=OTHERS)


@pytest.mark.parametrize(
    "method",
    [
        "scratch",
        "stackbert",
        "mslt",
        "bert2bert",
        "compoundgrow",
        "gradual",
        "g_stack",
        "ki",
        "scratch_iso",
        "source_longer",
    ],
)
def test_a_run_costs_what_was_forecast(study, method: str) -> None:
    pretrain.run(study, "source", 0)
    values = result(pretrain.run(study, method, 0))
    for phase in ("trunk", "cooldown"):
        spent = {e["stage"]: (e["flops"], e["tokens"]) for e in values["ledger"] if e["phase"] == phase}
        told: dict[int, tuple[float, int]] = {}
        for entry in timeline.of(study, method).entries():
            if entry.phase == phase:
                flops, tokens = told.get(entry.stage, (0.0, 0))
                told[entry.stage] = (flops + entry.steps * entry.cost.flops, tokens + entry.steps * entry.cost.tokens)
        assert told.keys() == spent.keys()
        for stage, (flops, tokens) in told.items():
            assert spent[stage] == (pytest.approx(flops), tokens)


def test_a_forecast_counts_the_parameters_that_learn(study) -> None:
    rows = {row["method"]: row for row in forecast.run(study, timing=False)}
    assert rows["source"]["seconds"] is None and rows["scratch"]["flops"] == pytest.approx(
        sum(phase["flops"] for phase in rows["scratch"]["phases"].values())
    )
    whole, *parts, joint = rows["mslt"]["stages"]
    assert whole["learning"] == whole["parameters"] and joint["learning"] == joint["parameters"]
    assert all(stage["learning"] < 0.8 * stage["parameters"] for stage in parts[1:])
    assert rows["bert2bert"]["stages"][0]["learning"] == rows["bert2bert"]["stages"][0]["parameters"]
