"""With budget.total every method has spent the same, source included, at each finished point; the forecast says so before."""

from pathlib import Path
from typing import Any

import pytest
from support.tiny import corpus, result
from support.tiny import study as tiny_study

from growbench.pipeline.pretrain import run as pretrain
from growbench.records import curve
from growbench.study import timeline
from growbench.study.study import Study

METHODS = dict.fromkeys(("scratch", "placebo", "source_longer", "direct_copy", "bert2bert"))


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.chdir(tmp_path)
    changes = {"source": {"steps": 60}, "optimizer": {"warmup": 3}}
    made = tiny_study(methods=METHODS, budget={"total": True, "steps": 40}, **changes)
    corpus(tmp_path / made.layout.corpus)
    return made


def by_point(values: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {point["point"]: point for point in values["points"]}


def test_the_total_at_each_point_is_scratchs_to_a_step(study: Study) -> None:
    source, scratch = (result(pretrain.run(study, name, 0)) for name in ("source", "scratch"))
    step = timeline.of(study, "scratch").costs[0].flops
    for name in ("source_longer", "direct_copy", "bert2bert"):
        values, wanted = result(pretrain.run(study, name, 0)), by_point(scratch)
        assert values["points"][-1]["point"] == "p100"
        for point, found in by_point(values).items():
            assert found["flops_total"] == pytest.approx(wanted[point]["flops_total"], abs=step)
            assert found["fraction"] == wanted[point]["fraction"]
            assert found["budget_flops"] == pytest.approx(found["flops"], abs=step)
        paid = source["points"][-1]["flops"] if study.method(name).needs_source else 0.0
        assert values["points"][-1]["flops"] == pytest.approx(values["points"][-1]["flops_total"] - paid)


@pytest.mark.parametrize("name", ["direct_copy", "bert2bert", "source_longer", "placebo"])
def test_the_forecast_and_the_ledger_agree_to_the_step(study: Study, name: str) -> None:
    told = sum(entry.steps for entry in timeline.of(study, name).entries())
    pretrain.run(study, "source", 0)
    values = result(pretrain.run(study, name, 0))
    assert told == sum(entry["steps"] for entry in values["ledger"] if entry["phase"] in ("trunk", "cooldown"))


def test_the_placebo_takes_the_steps_of_scratch(study: Study) -> None:
    """Its trunk is scratch's for as long as scratch's lasts, so nothing but the length of the run can set them apart."""
    taken = []
    for name in ("scratch", "placebo"):
        values = result(pretrain.run(study, name, 0))
        rows = curve.read(study.layout.curve(name, 0), values["curve"])
        trunk = rows[(rows["phase"] == "trunk") & (rows["step"] > 0)]
        taken.append(dict(zip(trunk["step"], zip(trunk["lr"], trunk["valid_loss"], strict=True), strict=True)))
    common = taken[0].keys() & taken[1].keys()
    assert len(common) >= 2 and all(taken[0][step] == pytest.approx(taken[1][step]) for step in common)


def test_a_record_says_how_many_parameters_its_model_has(study: Study) -> None:
    source, scratch = (result(pretrain.run(study, name, 0)) for name in ("source", "scratch"))
    assert scratch["parameters"] == study.parameters(64) > source["parameters"] > 0
    assert scratch["curve_of"] is None and source["curve_of"] is None


def test_a_run_of_one_point_ends_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    budget = {"steps": 40, "points": [0.5, 1.0], "per_point": True}
    made = tiny_study(methods={"scratch": None, "stackbert": None}, budget=budget)
    corpus(tmp_path / made.layout.corpus)
    values = result(pretrain.run(made, "stackbert_p50", 0))
    (point,) = values["points"]
    whole = timeline.of(made, "scratch").budget
    assert (point["point"], point["fraction"], values["curve_of"]) == ("p50", 0.5, "stackbert")
    assert point["flops"] == pytest.approx(0.5 * whole, rel=0.05) and values["identity"]["share"] == 0.5
