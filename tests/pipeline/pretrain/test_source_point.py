"""A method that grows an earlier finished point of the source starts from its weights and pays for it alone."""

from pathlib import Path
from typing import Any

import pytest
from support.tiny import corpus, result
from support.tiny import study as tiny_study

from growbench.analysis.frames import curves, plans, points, starts
from growbench.errors import GrowBenchError
from growbench.pipeline.aggregate import fit
from growbench.pipeline.pretrain import run as pretrain
from growbench.records import curve
from growbench.study import timeline
from growbench.study.study import Study

METHODS = {"scratch": None, "direct_copy": None, "early": {"of": "direct_copy", "source_point": 0.5}}


def made(source: dict[str, Any] | None = None, methods: dict[str, Any] | None = None) -> Study:
    source = {"steps": 60, "points": [0.5, 1.0], **(source or {})}
    changes = {"source": source, "optimizer": {"warmup": 3}}
    return tiny_study(methods=methods or METHODS, budget={"total": True, "steps": 40}, **changes)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.chdir(tmp_path)
    corpus(tmp_path / made().layout.corpus)
    return made()


def test_a_method_grows_the_point_that_it_names(study: Study) -> None:
    source, late, early = (result(pretrain.run(study, name, 0)) for name in ("source", "direct_copy", "early"))
    first, last = source["points"]
    assert [first["point"], last["point"]] == ["p50", "p100"] and first["model"] != last["model"]
    assert early["identity"]["source"] == first["model"] and late["identity"]["source"] == last["model"]
    for values, point in ((early, first), (late, last)):
        assert points.source_flops(values) == point["flops"]
        step = timeline.of(study, "scratch").costs[0].flops
        assert values["points"][-1]["flops_total"] == pytest.approx(40 * step, abs=step), "a cheaper source leaves more"
        assert fit.run(study, study.layout.run_record(values["method"], 0), values)
    assert early["points"][-1]["steps"] > late["points"][-1]["steps"]


def test_tables_compare_with_the_point_that_was_grown(study: Study) -> None:
    names = ("source", "scratch", "direct_copy", "early")
    records = [result(pretrain.run(study, name, 0)) for name in names]
    found = {(r["method"], 0): curve.read(study.layout.curve(r["method"], 0), r["curve"]) for r in records}
    frame = points.build(records, starts.build(records, found), "trunk").set_index(["method", "point"])
    tpp = {name: frame.loc[(name, "p100"), "source_tpp"] for name in ("direct_copy", "early")}
    assert tpp["early"] == pytest.approx(frame.loc[("source", "p50"), "tpp"])
    assert tpp["direct_copy"] == pytest.approx(frame.loc[("source", "p100"), "tpp"])
    ends = curves.ends(found)
    table = plans.build(records, curves.build(found), ends, {}).set_index("method")
    assert table.loc["early", "loss_before"] == ends["source", 0, "p50"]
    assert table.loc["direct_copy", "loss_before"] == ends["source", 0, "p100"]


@pytest.mark.parametrize(
    ("source", "methods", "line"),
    [
        ({"points": [0.5]}, {}, "source.points: [0.5] is not allowed; use increasing shares that end with 1.0"),
        ({"points": [0.5, 0.502, 1.0]}, {}, "source.points: [0.5, 0.502, 1.0] is not allowed; use values that still differ"),
        ({"points": [0.04, 0.5, 1.0]}, {}, "does not end before the first point leaves the trunk"),
        ({}, {"early": {"of": "direct_copy", "source_point": 0.4}}, "methods.early.source_point: 0.4 is not one of source.points (0.5, 1); nearest: 0.5"),
        ({}, {"again": {"of": "scratch", "source_point": 0.5}}, "methods.again.source_point: again does not start from the source"),
    ],
)  # fmt: skip
def test_a_point_that_is_not_there_is_refused(source: dict[str, Any], methods: dict[str, Any], line: str) -> None:
    with pytest.raises(GrowBenchError) as caught:
        made(source, {**METHODS, **methods})
    assert line in str(caught.value)
