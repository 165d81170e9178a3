"""budget.per_point: a method that grows at shares of its budget is trained once per point, with that point's budget."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import tiny

from growbench.errors import GrowBenchError
from growbench.pipeline.pretrain import identity
from growbench.study import timeline
from growbench.study.study import Study

METHODS: dict[str, Any] = {"scratch": None, "stackbert": {"lr": 0.001}, "bert2bert": None, "placebo": None}
NAMES = ["scratch", "stackbert_p40", "stackbert_p70", "stackbert_p100", "bert2bert", "placebo"]


def study(methods: dict[str, Any] = METHODS, changes: dict[str, Any] | None = None, **budget: Any) -> Study:
    usual = {"points": [0.4, 0.7, 1.0], "steps": 80, "per_point": True}
    return tiny.study(methods=methods, budget={**usual, **budget}, **(changes or {}))


def line(*args: Any, **budget: Any) -> str:
    with pytest.raises(GrowBenchError) as caught:
        study(*args, **budget)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_only_methods_that_grow_at_shares_without_a_source_become_variants() -> None:
    made = study()
    assert list(made.methods) == NAMES
    assert made.methods["stackbert_p40"] == {"of": "stackbert", "lr": 0.001, "budget": 0.4}
    assert list(study(per_point=False).methods) == list(METHODS)


def test_a_variant_spends_its_points_budget_and_ends_there() -> None:
    made = study()
    whole = timeline.of(made, "scratch")
    for name, point in zip(NAMES[1:4], whole.points, strict=True):
        run = timeline.of(made, name)
        assert run.points == (point,) and run.own(point) == 1.0
        assert run.budget == pytest.approx(point * whole.budget)
        assert [stage.until for stage in run.plan.stages] == pytest.approx([0.125, 0.3, 1.0])
        assert identity.own_share(made, name) == point


def test_a_variant_is_a_point_of_its_methods_curve() -> None:
    made = study({**METHODS, "short": {"of": "stackbert", "budget": 0.5}})
    assert [made.curve_of(name) for name in NAMES[:5]] == [None, "stackbert", "stackbert", "stackbert", None]
    assert made.curve_of("short") is None and timeline.of(made, "short").points == (0.5,)
    assert [name for name in made.methods if made.ends(name)] == ["scratch", "stackbert_p100", "bert2bert", "placebo"]


def test_a_variant_of_a_variant_keeps_its_options() -> None:
    made = study({"scratch": None, "identity": {"of": "stackbert", "added": "identity"}})
    assert made.methods["identity_p70"] == {"of": "stackbert", "added": "identity", "budget": 0.7}
    assert made.curve_of("identity_p70") == "identity"


def test_all_and_false_work_with_it() -> None:
    made = study({**tiny.usual_methods("bert"), "stackbert": False})
    assert not any(name.startswith("stackbert") for name in made.methods)
    assert {"mslt_p40", "mslt_p100", "compoundgrow_p70"} <= set(made.methods) and "mslt" not in made.methods


def test_a_variant_is_evaluated_at_its_own_end_alone() -> None:
    made = study(changes={"finetune": {"points": [0.4, 1.0]}})
    found = [made.finetuned_points(name) for name in ("scratch", *NAMES[1:4])]
    assert found == [("p40", "p100"), ("p40",), (), ("p100",)]


def test_a_budget_that_is_too_small_for_the_plan_is_left_out_and_told() -> None:
    made = study(points=[0.01, 0.4, 1.0], changes={"optimizer": {"warmup": {"share": 0.005}}})
    assert "stackbert_p1" not in made.methods and "is less than one step" in made.left_out["stackbert_p1"]
    assert "stackbert_p40" in made.methods
    wanted = {"optimizer": {"warmup": {"share": 0.005}}, "finetune": {"points": [0.01, 1.0]}}
    why = line(changes=wanted, points=[0.01, 0.4, 1.0])
    assert why.startswith("finetune.points: 0.01 of the budget is too little for stackbert (stage 0: until: ")
    assert why.endswith("; use at least 0.4")


def test_a_name_that_is_taken_is_refused() -> None:
    taken = {**METHODS, "stackbert_p40": {"of": "stackbert"}}
    assert line(taken) == "methods.stackbert_p40: budget.per_point makes a run of this name; rename it"
    long = "a" * 36
    assert line({"scratch": None, long: {"of": "stackbert"}}).startswith(f"methods.{long}: budget.per_point makes")


def test_a_plan_file_of_the_method_is_that_of_its_points(tmp_path: Path) -> None:
    """The file has the method's file, too, of which the variant is another variant."""
    made = study({"scratch": None, "early": {"of": "stackbert", "second": 0.2}}, per_point=False)
    plan = timeline.of(made, "early").plan
    path, other = tmp_path / "plan.json", timeline.of(made, "scratch").plan
    path.write_text(
        json.dumps([{"method": name, "plan": p.to_list()} for name, p in (("stackbert", other), ("early", plan))])
    )
    read = study({"scratch": None, "early": {"of": "stackbert", "plan": str(path)}})
    assert timeline.of(read, "early_p70").plan == plan
