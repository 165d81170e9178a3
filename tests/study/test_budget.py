"""What a run may spend: the same total for all methods, tokens per parameter, and the placebo's horizon."""

from typing import Any

import pytest
from support import tiny

from growbench.errors import GrowBenchError
from growbench.records import record
from growbench.study import timeline
from growbench.study.study import Study, point_name

METHODS: dict[str, Any] = dict.fromkeys(("scratch", "placebo", "source_longer", "direct_copy", "stackbert"))


def study(methods: dict[str, Any] = METHODS, **budget: Any) -> Study:
    return tiny.study(methods=methods, budget=budget)


def line(methods: dict[str, Any] = METHODS, changes: dict[str, Any] | None = None, **budget: Any) -> str:
    with pytest.raises(GrowBenchError) as caught:
        tiny.study(methods=methods, budget=budget, **(changes or {}))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_with_one_total_every_method_spends_the_same_at_each_point() -> None:
    made = study(total=True)
    largest, paid = timeline.of(made, "scratch").budget, timeline.of(made, "source").budget
    for name in made.methods:
        run = timeline.of(made, name)
        counted = paid if made.method(name).needs_source else 0.0
        assert run.budget == pytest.approx(largest * made.method(name).horizon - counted)
        for point in run.points:
            total = run.own(point) * run.budget + counted
            assert total == pytest.approx(point * largest * made.method(name).horizon)


def test_without_one_total_a_control_spends_the_source_too() -> None:
    made = study()
    largest, paid = timeline.of(made, "scratch").budget, timeline.of(made, "source").budget
    assert timeline.of(made, "source_longer").budget == pytest.approx(largest + paid)
    assert timeline.of(made, "direct_copy").budget == largest
    assert made.reads_source("source_longer") and not study(total=True).reads_source("source_longer")


def test_a_point_that_costs_less_than_the_source_is_left_out() -> None:
    points, more = [0.1, 0.6, 1.0], {"source": {"steps": 40}}
    made = tiny.study(methods=METHODS, budget={"total": True, "points": points}, **more)
    assert timeline.of(made, "scratch").points == (0.1, 0.6, 1.0)
    assert timeline.of(made, "direct_copy").points == (0.6, 1.0)
    why = line(
        {"scratch": None, "direct_copy": None}, {**more, "finetune": {"points": [0.1, 1.0]}}, total=True, points=points
    )
    assert why.startswith("finetune.points: 0.1 is ") and "the source of direct_copy alone costs" in why
    assert why.endswith("use at least 0.6")


def test_a_source_that_costs_more_than_the_total_is_refused() -> None:
    why = line(total=True, changes={"source": {"steps": 4000}})
    assert why.startswith("budget.total: true, but the source costs") and "direct_copy" in why
    assert why.endswith("use a larger budget, or fewer source.steps")


def test_scratch_iso_is_scratch_itself_with_one_total() -> None:
    why = line({"scratch": None, "scratch_iso": None}, total=True)
    assert why == "methods.scratch_iso: budget.total is true, which makes it scratch itself; leave it out"
    made = tiny.study(methods={**tiny.usual_methods("bert"), "source_longer": None}, budget={"total": True})
    assert "scratch_iso" not in made.methods and made.left_out["scratch_iso"].endswith("scratch itself")


def test_the_placebo_is_scratch_with_another_horizon() -> None:
    for total in (False, True):
        made = study(total=total)
        placebo, scratch = (timeline.of(made, name) for name in ("placebo", "scratch"))
        assert placebo.budget == pytest.approx(scratch.budget * 4 / 3) and placebo.plan == scratch.plan
        assert placebo.points == scratch.points == made.budget.shares
        assert [placebo.own(point) for point in placebo.points] == list(scratch.points)
        assert not made.reads_source("placebo") and made.method("placebo").control


def test_a_budget_in_tokens_per_parameter_reads_that_many_tokens() -> None:
    made = study({"scratch": None}, tokens_per_parameter=[2, 5, 10], steps=None, points=None)
    run, parameters = timeline.of(made, "scratch"), made.parameters(made.corpus.vocab)
    assert run.points == (0.2, 0.5, 1.0) and [point_name(point) for point in run.points] == ["p20", "p50", "p100"]
    step = run.costs[0]
    for ratio, point in zip((2, 5, 10), run.points, strict=True):
        tokens = round(point * run.budget / step.flops) * step.tokens
        assert tokens / parameters == pytest.approx(ratio, abs=step.tokens / parameters)
    assert run.budget / step.flops * step.tokens >= 10 * parameters


def test_a_budget_in_tokens_per_parameter_follows_the_vocabulary_that_the_corpus_has() -> None:
    made = study({"scratch": None}, tokens_per_parameter=[2, 5], steps=None, points=None)
    fewer = made.corpus.vocab - 20
    assert made.parameters(fewer) < made.parameters(made.corpus.vocab)
    assert made.steps(fewer) < made.steps(made.corpus.vocab)
    half = timeline.short(made, 0.5, fewer)
    assert half.steps(fewer) == round(0.5 * made.steps(fewer)) and half.budget.shares == (1.0,)


@pytest.mark.parametrize(
    ("budget", "wanted"),
    [
        ({"steps": None}, "budget.steps: null, but budget.tokens_per_parameter is null, too; give one of them"),
        ({"points": None}, "budget.points: null, but budget.tokens_per_parameter is null, too; give one of them"),
        ({"tokens_per_parameter": [5]}, "budget.tokens_per_parameter: [5.0], but budget.steps is 40; use null for one"),
        (
            {"tokens_per_parameter": [5, 2], "steps": None, "points": None},
            "budget.tokens_per_parameter: [5.0, 2.0] is not allowed; use increasing numbers",
        ),
        (
            {"tokens_per_parameter": [5, 5.001], "steps": None, "points": None},
            "budget.tokens_per_parameter: [5.0, 5.001] is not allowed; use values that still differ, as shares",
        ),
        ({"tokens_per_parameter": [0]}, "budget.tokens_per_parameter.0: 0 is not allowed; use a number above 0"),
        ({"tokens_per_parameter": []}, "budget.tokens_per_parameter: [] is not allowed; use a list of at least 1"),
    ],
)
def test_a_budget_that_is_given_badly_is_refused(budget: dict[str, Any], wanted: str) -> None:
    assert line(**budget).startswith(wanted)


def test_what_a_budget_says_as_before_leaves_the_digest_alone() -> None:
    before = study()
    assert set(before.trained_part()["budget"]) == {"steps", "points", "cooldown", "protocol"}
    digests = {record.config_hash(made.trained_part()) for made in (before, study(per_point=True), study(total=True))}
    assert len(digests) == 2
