"""Plans as data: printed and read back; plans that make no sense are refused."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support import tiny
from support.configs import ABLE, study

from growbench import methods
from growbench.errors import GrowBenchError
from growbench.growth.depth import from_list
from growbench.plan.plan import Plan, Stage
from growbench.spec import ModelSpec
from growbench.study import config, files, timeline


def chosen(**options: Any) -> Any:
    """A study of scratch and the methods given, with their options."""
    return config.load(files.merged(study(), {"methods": {"scratch": None, **options}}))


@pytest.mark.parametrize("name", ABLE)
def test_every_plan_is_printed_as_json_and_read_back(name: str, tmp_path: Path) -> None:
    options = {"length": "cut"} if name == "compoundgrow" else {}
    own = timeline.of(chosen(**{name: options}), name).plan
    for number, content in enumerate(
        ([{"method": "other", "plan": []}, {"method": name, "plan": own.to_list()}], own.to_list())
    ):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(content))
        assert timeline.of(chosen(**{name: {**options, "plan": str(path)}}), name).plan == own


def stages(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    """A plan of two stages, (2, 128) grown to (4, 128), with changes."""
    values = study()["target"]
    target = ModelSpec(
        **{
            **{key: values[key] for key in ("layers", "hidden", "heads", "ffn")},
            "family": "bert",
            "vocab": 512,
            "max_length": 32,
        }
    )
    first = Stage(spec=target.resized(layers=2), until=0.3, enter="init")
    plan = Plan(stages=(first, Stage(spec=target, until=1.0, enter="grow"))).to_list()
    for stage, change in zip(plan, changes, strict=False):
        stage.update(change)
    return plan


def small(**sizes: int) -> dict[str, Any]:
    return {"spec": {**stages()[0]["spec"], **sizes}}


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ([], "not a list of stages"),
        ({"method": "x"}, "stage 0: method: unknown key"),
        ([3], "stage 0: 3 is not a stage"),
        (stages({"until": 0.02}, {"lr": "rewarm"}), "optimizer.warmup: 0.04 of the budget is longer than the stage"),
        ([*stages()[:1], {**stages()[1], "until": 0.32, "lr": "rewarm"}, {**stages()[1], "enter": "keep", "lr": "rewarm"}], "stage 1: optimizer.warmup"),
        (stages({}, {"top": 0}), "stage 1: top: 0 is not allowed; use an integer from 1 to 4"),
        (stages({}, {"top": 5}), "stage 1: top: 5 is not allowed; use an integer from 1 to 4"),
        ([*stages({}, {"until": 0.6, "top": 1}), {**stages()[1], "enter": "keep"}], "stage 1: top: layer 2 is new, but only the top 1 learn; use at least 2"),
        (stages({"top": 1}), "stage 0: top: the layers below the top 1 would stay random"),
        (stages(small(layers=6)), "target.layers: 4 is smaller than the source's 6"),
        (stages(small(hidden=0)), "stage 0: model.hidden: 0 is not allowed; use an integer of at least 1"),
        (stages(small(layer=2)), "stage 0: model.layer: unknown key; did you mean 'layers'"),
        (stages({}, {"spec": small()["spec"]}), "the last stage trains bert (2, 128)"),
        (stages({"enter": "keep"}), "the first stage has no model to grow"),
        (stages({}, {"enter": "keep"}), "(2, 128) cannot be kept as (4, 128)"),
        (stages({}, {"enter": "grown"}), "stage 1: enter: unknown value 'grown'; did you mean 'grow'"),
        (stages({"until": 1.2}), "stage 0: until: 1.2 is not allowed; use a number from 0 to 1"),
        (stages({"until": "0.3"}), "stage 0: until: '0.3' is not allowed"),
        (stages({}, {"until": 0.9}), "`until` must increase, start above 0 and end at 1"),
        (stages({"enter": "source"}), "stage 0: enter: stackbert does not count a source's cost"),
        (stages(small(vocab=100)), "stage 0: spec.vocab: 100 is not the study's; use 512"),
        (stages(small(max_length=16)), "stage 0: spec.max_length: 16 is not the study's"),
        (stages({}, {"enter": "source"}), "stage 1 would discard the stages before it"),
        (stages({}, {"enter": "init"}), "stage 1 would discard the stages before it"),
        (stages({"shift": float("inf")}), "stage 0: shift: inf is not allowed"),
        (stages({"slope": float("-inf")}), "stage 0: slope: -inf is not allowed"),
        (stages({"temperature": 0}), "stage 0: temperature: 0 is not allowed"),
        (stages({"pool": 10**30}), "stage 0: pool:"),
        (stages({"pool": 32}), "stage 0: pool: 32 is not less than the 32 tokens of a sequence"),
        (stages({}, {"cut": 2}), "stage 1: pool, cut: the last stage must read whole inputs"),
        (stages({}, {"top": 3}), "stage 1: top, block: the last stage must train the whole target"),
        (stages({}, {"block": 2}), "stage 1: top, block: the last stage must train the whole target"),
        (stages(small(kv_heads="2")), "stage 0: model.kv_heads: '2' is not allowed; use an integer of at least 0"),
        (stages(small(vocab=None)), "stage 0: model.vocab: None is not allowed; use an integer of at least 0"),
        (stages(small(heads=-1)), "stage 0: model.heads: -1 is not allowed; use an integer of at least 1"),
        (stages({"spec": {**stages()[0]["spec"], "family": []}}), "stage 0: model.family: [] is not"),
        (stages({"spec": {**stages()[0]["spec"], "family": "gpt2"}}), "stage 0: spec.family: 'gpt2' is not the study's"),
        (stages({}, {"mask": 0.1}), "stage 1: mask: stackbert does not use masks"),
        (stages({}, {"teacher": 0.5}), "stage 1: teacher: stackbert has no source to learn from"),
        (stages({}, {"slope": -0.05}), "stage 1: slope: no stage follows"),
        (stages({"slope": 0.05}), "stage 0: slope: 0.05 is not allowed; use a number of at most 0"),
        (stages({"cut": 40}), "stage 0: cut: fewer than two of 32 tokens"),
        (stages({"block": 1, "top": 1}), "stage 0: block: it already sets which layers learn; leave out top"),
        (stages({"block": 3}), "stage 0: block: 3 is not allowed; use an integer from 1 to 2"),
        (stages({"optimiser": "reset"}), "stage 0: optimiser: unknown key; did you mean 'optimizer'"),
        (stages({"until": 1e-9}), "stage 0:"),
    ],
    ids=str,
)  # fmt: skip
def test_a_plan_that_makes_no_sense_is_refused_in_one_line(plan: Any, words: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan))
    with pytest.raises(GrowBenchError) as caught:
        chosen(stackbert={"plan": str(path)})
    assert (
        words in str(caught.value)
        and "\n" not in str(caught.value)
        and str(caught.value).startswith("methods.stackbert")
    )


def test_a_stage_that_grows_wider_and_freezes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    plan = stages({"enter": "source", **small(hidden=64, heads=2, ffn=256, kv_heads=2)}, {"until": 0.6, "top": 2})
    path.write_text(json.dumps([*plan, {**stages()[1], "enter": "keep"}]))
    with pytest.raises(GrowBenchError, match="frozen layers would never learn what is new"):
        chosen(bert2bert_fpi={"plan": str(path)})


@pytest.mark.parametrize(
    ("method", "changes", "words"),
    [
        ("bert2bert_fpi", ({}, {}), "it counts the source's FLOPs, but no stage uses the source"),
        ("ki", ({"until": 1.0, "teacher": 1.0},), "teacher: finished points would lie inside this stage"),
        ("msg", ({"enter": "source", "mask": 0.4}, {}), "stage 0: mask: 0.4 of the budget is longer than the stage"),
        ("msg", ({"enter": "source", "mask": 0.1, "slope": -0.1}, {}), "stage 0: mask: the stage may end before"),
        ("scratch_iso", ({"until": 1.0},), "the last stage trains bert (2, 64)"),
    ],
)
def test_a_plan_that_does_not_fit_its_method_is_refused(
    method: str, changes: tuple[dict[str, Any], ...], words: str, tmp_path: Path
) -> None:
    plan = stages(*changes)
    if len(changes) == 1:
        target, source = plan[1]["spec"], {**plan[0]["spec"], "hidden": 64, "heads": 2, "kv_heads": 2, "ffn": 256}
        plan = [{**plan[0], "spec": source if method == "scratch_iso" else target}]
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(GrowBenchError, match=re.escape(words)):
        chosen(**{method: {"plan": str(tmp_path / "plan.json")}})


def test_the_row_of_a_variants_method_is_taken_from_a_printed_list(tmp_path: Path) -> None:
    """The README's example."""
    rows = [
        {"method": name, "plan": timeline.of(chosen(mslt=None), name).plan.to_list()} for name in ("scratch", "mslt")
    ]
    (tmp_path / "plans.json").write_text(json.dumps(rows))
    made = chosen(mslt=None, mslt_mine={"of": "mslt", "plan": str(tmp_path / "plans.json")})
    assert timeline.of(made, "mslt_mine").plan == timeline.of(made, "mslt").plan


@pytest.mark.parametrize(
    ("method", "options", "words"),
    [
        ("mslt", {"stages": 4.5}, "methods.mslt.stages: unknown value 4.5; allowed: "),
        ("mslt", {"stages": True}, "methods.mslt.stages: unknown value True; allowed: "),
        ("bert2bert", {"l_b": 2.5}, "methods.bert2bert.l_b: 2.5 is not allowed; use an integer"),
        ("mslt", {"plan": 5}, "methods.mslt.plan: 5 is not allowed; use text"),
        ("mslt", {"plan": ""}, "methods.mslt.plan: '' is not allowed; use text"),
        ("compoundgrow", {"layers": "attention", "stages": [[0.4, 4, 1, 1], [0.3, 2, 1, 1], [0.3, 1, 1, 1]]}, "can only start from random weights"),
    ],
)  # fmt: skip
def test_options_have_their_type(method: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(GrowBenchError, match=re.escape(words)):
        chosen(**{method: options})


@pytest.mark.parametrize(("family", "kind"), [("bert", "clm"), ("gpt2", "mlm"), ("vit", "mlm")])
def test_a_family_is_trained_by_its_own_objective(family: str, kind: str) -> None:
    with pytest.raises(GrowBenchError, match=f"objective.kind: {kind}, but {family} is trained with"):
        config.load(files.merged(study(), {"target": {"family": family}, "objective": {"kind": kind}}))


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "not JSON"), (None, "No such file"), ('[{"method": "x", "plan": []}, {"plan": []}]', "name one")],
)
def test_a_plan_file_that_cannot_be_read_is_refused(text: str | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(GrowBenchError, match=words):
        chosen(stackbert={"plan": str(path)})


def test_a_layer_map_out_of_range_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = methods.load("stackbert")
    monkeypatch.setattr(stack, "deepen", lambda *given: from_list([0, 1, 2, 3][: given[1]]))
    with pytest.raises(GrowBenchError, match=r"takes layer 1 from source layer 1, but the source has layers 0\.\.0"):
        chosen(stackbert=None)
    monkeypatch.setattr(stack, "deepen", lambda *given: from_list([0]))
    with pytest.raises(GrowBenchError, match="the depth map has 1 layers, not 2"):
        chosen(stackbert=None)


@pytest.mark.parametrize(
    ("name", "options", "line"),
    [
        ("half", {"of": "mslt", "partial": 0.25}, None),
        ("half", {"of": "mlst"}, "methods.half.of: 'mlst' is not a method; did you mean 'mslt'"),
        ("stackbert", {"of": "mslt"}, "not a name for a variant"),
        ("source", {"of": "mslt"}, "not a name for a variant"),
        ("Half", {"of": "mslt"}, "not a name for a variant"),
        ("half", {"of": "mslt", "partiel": 0.2}, "methods.half.partiel: unknown option; did you mean 'partial'"),
        ("half", {"partial": 0.2}, "methods: 'half' is not known"),
    ],
)
def test_a_variant_has_its_own_name(name: str, options: dict[str, Any], line: str | None) -> None:
    if line is None:
        made = chosen(**{name: options, "mslt": None})
        assert made.method(name) is made.method("mslt")
        assert [timeline.of(made, key).plan.start(4) for key in (name, "mslt")] == [0.25, 0.375]
        return
    with pytest.raises(GrowBenchError) as caught:
        chosen(**{name: options})
    assert line in str(caught.value)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            {"tuned_as": "scrach"},
            "methods.again.tuned_as: 'scrach' is not a method of this study; did you mean 'scratch'",
        ),
        ({"tuned_as": "again"}, None),
        (
            {"tuned_as": "set"},
            "methods.again.tuned_as: set is not searched itself; name a method that is, or give again its",
        ),
        ({"tuned_as": "scratch", "lr": 1e-3}, "methods.again.tuned_as: again has its own lr as well; leave out one"),
        ({"tuned_as": "scratch"}, None),
    ],
)
def test_a_method_takes_the_search_of_one_that_is_searched(options: dict[str, Any], line: str | None) -> None:
    methods = {"scratch": None, "set": {"of": "scratch", "lr": 1e-3}, "again": {"of": "scratch", **options}}
    search = {"lrs": [1e-3], "warmups": [], "seed": 1000}
    if line is None:
        assert tiny.study(methods=methods, search=search).tuner("again") == options["tuned_as"]
        return
    with pytest.raises(GrowBenchError) as caught:
        tiny.study(methods=methods, search=search)
    assert line in str(caught.value)


@pytest.mark.parametrize("ends", [(), (0.5,), (0.5, 0.4, 1.0), (0.0, 1.0)])
def test_a_plan_must_end_each_stage_later_and_the_last_at_the_whole_budget(ends: tuple[float, ...]) -> None:
    spec = ModelSpec(family="bert", layers=2, hidden=32, heads=2, ffn=64, vocab=50, max_length=16)
    with pytest.raises(GrowBenchError, match="plan"):
        Plan(stages=tuple(Stage(spec=spec, until=end, enter="init") for end in ends))
