"""The formula against torch's own counter, and against figures derived for BERT-base."""

import pytest
import torch
from support.helpers import SETTINGS, SPECS
from support.torch_flops import LANGUAGE, counted

from growbench import families
from growbench.families import embeddings_path, layers_path
from growbench.plan import flops, lengths
from growbench.spec import ModelSpec
from growbench.train.objective import CausalLM, MaskedLM, loss
from growbench.train.variants import pool
from growbench.train.variants.submodel import SubModel, only

FAMILY = families.load("bert")
SHAPES = [SPECS[name].resized(layers=3, max_length=32) for name in LANGUAGE] + [
    ModelSpec(family="bert", layers=2, hidden=32, heads=2, ffn=64, vocab=50, max_length=32),
    ModelSpec(family="bert", layers=3, hidden=48, heads=3, ffn=100, vocab=211, max_length=32),
    ModelSpec(family="llama", layers=2, hidden=48, heads=4, kv_heads=1, head_size=8, ffn=100, vocab=90, max_length=32),
]


@pytest.mark.parametrize("spec", SHAPES, ids=lambda spec: f"{spec.family} {spec.short()}")
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_formula_equals_the_counter(spec: ModelSpec, attention: str) -> None:
    family = families.load(spec.family)
    if attention == "sdpa" and not family.model_class()._supports_sdpa:
        pytest.skip("the stock class caps its scores, which no fused kernel does")
    model = family.build(family.config(spec, attn_implementation=attention, **family.dropout(0.0)))
    objective = MaskedLM(0.15, 4, spec.vocab) if family.objective == "mlm" else CausalLM()
    batch = objective.batch(torch.randint(5, spec.vocab, (4, 32)), seed=0, step=0)
    cost = flops.step(spec, family, batch=4, length=32, positions=objective.positions(32))
    forward, backward = counted(lambda: loss(family, model, batch))
    assert forward == pytest.approx(cost.forward, rel=1e-3)
    assert forward + backward == pytest.approx(cost.flops, rel=1e-3)


@pytest.mark.parametrize(
    "part", [SubModel(3, 1), SubModel(3, 2), SubModel(2, 1), SubModel(2, 2), SubModel(1, 1)], ids=str
)
@pytest.mark.parametrize("name", LANGUAGE)
def test_a_part_costs_what_the_counter_counts(name: str, part: SubModel) -> None:
    spec, family = SPECS[name].resized(layers=3, max_length=32), families.load(name)
    model = family.build(family.config(spec, attn_implementation="eager", **family.dropout(0.0)))
    objective = MaskedLM(0.15, 4, spec.vocab) if family.objective == "mlm" else CausalLM()
    batch = objective.batch(torch.randint(5, spec.vocab, (4, 32)), seed=0, step=0)
    sub = spec.resized(layers=part.depth)
    cost = flops.step(sub, family, batch=4, length=32, positions=objective.positions(32), top=part.top)

    def forward() -> torch.Tensor:
        with only(model, layers_path(family.roles(model.config)), part):
            return loss(family, model, batch)

    first, backward = counted(forward)
    assert first == pytest.approx(cost.forward, rel=1e-3)
    assert first + backward == pytest.approx(cost.flops, rel=1e-3)


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_pooled_inputs_cost_what_the_counter_counts(name: str, factor: int) -> None:
    spec, family = SPECS[name].resized(layers=2, max_length=32), families.load(name)
    model = family.build(family.config(spec, attn_implementation="eager", **family.dropout(0.0)))
    objective = MaskedLM(0.15, 4, spec.vocab)
    batch = objective.batch(torch.randint(5, spec.vocab, (4, 32)), seed=0, step=0)
    positions = objective.positions(32)
    cost = flops.step(spec, family, batch=4, length=lengths.pooled(32, factor, positions), positions=positions)
    path = embeddings_path(model)
    forward, backward = counted(lambda: pool.loss(family, model, path, batch, factor))
    assert forward == pytest.approx(cost.forward, rel=1e-3)
    assert forward + backward == pytest.approx(cost.flops, rel=1e-3)


def test_images_cost_their_patches_and_one_position_of_the_head() -> None:
    spec, family = SPECS["vit"], families.load("vit")
    config = family.config(spec, **SETTINGS["vit"])
    model, pixels = family.build(config), family.inputs(config, batch=4, length=0, seed=0)
    cost = flops.step(spec, family, batch=4, length=spec.max_length, positions=1, classes=5, patch_values=3 * 4 * 4)
    forward, backward = counted(lambda: model(pixels, labels=torch.arange(4)).loss)
    assert cost.inputs == 4 * 2 * 9 * spec.hidden * 48
    assert forward == pytest.approx(cost.forward, rel=1e-3)
    assert forward + backward == pytest.approx(cost.flops, rel=1e-3)


def per_token(layers: int, hidden: int) -> float:
    spec = ModelSpec(
        family="bert", layers=layers, hidden=hidden, heads=hidden // 64, ffn=4 * hidden, vocab=30522, max_length=512
    )
    dense = flops.body(spec, FAMILY, 128) / 128
    return 3 * (dense + 0.15 * flops.head(spec, FAMILY, 1))


def test_bert_base_anchors() -> None:
    assert per_token(12, 768) / 1e6 == pytest.approx(545, abs=0.5)
    assert per_token(12, 512) / per_token(12, 768) == pytest.approx(0.459, abs=5e-4)
    assert per_token(6, 512) / per_token(12, 768) == pytest.approx(0.243, abs=5e-4)


def test_a_sub_model_step_costs_two_fifths_of_a_full_one() -> None:
    """bert2BERT, section 3.5: depths 3, 6, 9, 12, the top three layers and the head learn.

    The derived 0.40 gives every trained layer a whole backward. Under post-LN the lowest one's queries, keys and values
    project an input that needs no gradient, which the counter sees: 0.395.
    """
    spec = ModelSpec(family="bert", layers=12, hidden=768, heads=12, ffn=3072, vocab=30522, max_length=512)
    sizes = {"batch": 1, "length": 128, "positions": 19}
    full = flops.step(spec, FAMILY, **sizes).flops
    parts = [flops.step(spec.resized(layers=d), FAMILY, **sizes, top=3) for d in (3, 6, 9, 12)]
    mean = flops.mean(parts)
    assert (mean.flops + mean.inputs) / full == pytest.approx(0.400, abs=5e-4)
    assert mean.flops / full == pytest.approx(0.395, abs=5e-4)


def test_stackbert_schedules_cost_what_the_papers_imply() -> None:
    full = per_token(12, 768)
    costs = [per_token(depth, 768) / full for depth in (3, 6, 12)]
    assert sum(c * s for c, s in zip(costs, (50, 70, 280), strict=True)) / 400 == pytest.approx(0.826, abs=5e-4)
    assert sum(c * s for c, s in zip(costs, (30, 40, 30), strict=True)) / 100 == pytest.approx(0.592, abs=5e-4)
