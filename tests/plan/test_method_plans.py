"""Plans that methods make: their shares, rules and costs are the published ones."""

from typing import Any

import pytest
from support.configs import study
from support.helpers import PRICES

from growbench import methods
from growbench.errors import GrowBenchError
from growbench.plan.plan import Prices
from growbench.spec import ModelSpec
from growbench.study import config, files, timeline

BASE = ModelSpec(family="bert", layers=12, hidden=768, heads=12, ffn=3072, vocab=30522, max_length=128)


def chosen(**options: Any) -> Any:
    """A study of scratch and the methods given, with their options."""
    return config.load(files.merged(study(), {"methods": {"scratch": None, **options}}))


def base(**options: Any) -> Any:
    """A study at BERT-base size."""
    sizes = {"layers": 12, "hidden": 768, "heads": 12, "ffn": 3072}
    over = {
        "source": {**sizes, "hidden": 512, "heads": 8, "ffn": 2048, "steps": 400_000}, "target": sizes,
        "corpus": {"vocab": 30522, "max_tokens": 10**12}, "objective": {"length": 128, "mask_rate": 0.15},
        "finetune": {"max_length": 128}, "budget": {"steps": 400_000}, "optimizer": {"batch": 512, "warmup": {"share": 0.025}},
    }  # fmt: skip
    values = study() | {"methods": {"scratch": None, **options}}
    return config.load(files.merged(values, over))


@pytest.mark.parametrize(("first", "second", "cost"), [(50 / 400, 120 / 400, 0.826), (0.3, 0.7, 0.592)])
def test_published_stackbert_fractions_are_of_steps(first: float, second: float, cost: float) -> None:
    """BERT-base, 50k/70k/280k and 30/40/30 %: the same steps as scratch for 0.826 and 0.592 of its FLOPs."""
    made = base(stackbert={"first": first, "second": second, "unit": "steps"}, scratch={})
    run = timeline.of(made, "stackbert")
    steps = [e.steps for e in run.entries() if e.phase == "trunk" and e.stage < 2]
    per_budget = sum(
        (s.until - run.plan.start(i)) * run.budget / c.flops
        for i, (s, c) in enumerate(zip(run.plan.stages, run.costs, strict=True))
    )
    assert made.budget.steps / per_budget == pytest.approx(cost, abs=0.001)
    assert steps[0] / steps[1] == pytest.approx(first / (second - first), rel=0.001)


def test_sub_model_steps_cost_what_was_derived() -> None:
    run = timeline.of(base(bert2bert=None), "bert2bert")
    parts, full = run.costs
    assert parts.flops / full.flops == pytest.approx(0.40, abs=0.01)
    assert run.plan.stages[0].until == pytest.approx(0.125 * parts.flops / full.flops)
    assert run.plan.stages[0].submodels() == ((3, 3), (6, 3), (9, 3), (12, 3))


@pytest.mark.parametrize(
    ("tokens", "source", "low", "high"), [(3e11, 6.7e9, 0.8e10, 2.5e10), (1e11, 1.1e9, 0.4e10, 1.6e10)]
)
def test_g_stack_follows_the_papers_rule(tokens: float, source: float, low: float, high: float) -> None:
    """About 10 billion tokens for the small model at 1.1 and 7 billion parameters, as the paper used."""
    method, cost = methods.load("g_stack"), 6 * source * 1e6  # a step of a million tokens
    prices = Prices(6 * source * tokens, lambda stage: cost * stage.spec.layers / 12, 10**6, source)
    first, last = method.plan(BASE, BASE, method.check_options({"at": "rule"}), prices).stages
    assert (first.spec.layers, last.enter) == (3, "grow")
    assert low < first.until * prices.budget / (cost / 4) * 1e6 < high


def test_g_stack_refuses_its_rule_where_it_was_not_fitted() -> None:
    with pytest.raises(GrowBenchError, match=r"methods\.g_stack\.at: the rule asks for .* use a share"):
        chosen(g_stack={"at": "rule"})
    with pytest.raises(GrowBenchError, match=r"methods\.g_stack\.g: 3 does not divide target\.layers 4"):
        chosen(g_stack={"g": 3})


@pytest.mark.parametrize(
    ("sizes", "slope", "worth"),
    [
        ({"layers": 6}, -0.0575, 1.412),
        ({"hidden": 384, "heads": 6, "ffn": 1536}, -0.0475, 1.776),
        ({"layers": 6, "hidden": 384, "heads": 6, "ffn": 1536}, -0.03, 2.455),
    ],
)
def test_staged_training_waits_for_its_slope_and_shifts_its_lr(
    sizes: dict[str, int], slope: float, worth: float
) -> None:
    method, source = methods.load("staged"), BASE.resized(**sizes)
    small, grown = method.plan(source, BASE, method.check_options({}), PRICES).stages
    ratio = PRICES.step(grown) / PRICES.step(small)
    assert (small.slope, grown.lr, grown.optimizer) == (slope, "shift", "scaled")
    assert grown.shift == pytest.approx(ratio / worth)


COMPOUND = ModelSpec(family="bert", layers=4, hidden=32, heads=4, ffn=128, vocab=50, max_length=32)


def test_a_compound_plan_grows_all_dimensions_at_once_and_one_dimension_by_option() -> None:
    method = methods.load("compoundgrow")
    first, last = method.plan(COMPOUND, COMPOUND, method.check_options({}), PRICES).stages
    assert (first.spec.layers, first.spec.ffn, first.pool, last.enter) == (2, 64, 2, "grow")
    cheap = 0.7 * 2 * (64 + 64) / 2
    assert first.until == pytest.approx(cheap / (cheap + 0.3 * 4 * (64 + 128)))
    single = method.check_options({"stages": [[0.5, 1, 1, 4], [0.5, 1, 1, 1]]})
    first, last = method.plan(COMPOUND, COMPOUND, single, PRICES).stages
    assert first.spec == last.spec == COMPOUND and last.enter == "keep" and first.until == pytest.approx(0.2)


@pytest.mark.parametrize(
    "stages", [[], [[1.0, 2, 1, 1]], [[0.5, 1, 1, 1]], [[0.5, 0, 1, 1], [0.5, 1, 1, 1]], [3], [[1, 1]]]
)
def test_impossible_compound_stages_are_refused(stages: Any) -> None:
    method = methods.load("compoundgrow")
    with pytest.raises(GrowBenchError, match=r"methods\.compoundgrow\.stages: .*; "):
        method.plan(COMPOUND, COMPOUND, method.check_options({"stages": stages}), PRICES)
