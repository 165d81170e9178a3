"""The formula against torch's own counter, and against figures derived for BERT-base."""

import pytest
import torch
from helpers import SETTINGS, SPECS
from torch.utils.flop_counter import FlopCounterMode

from growbench import families, flops
from growbench.spec import ModelSpec
from growbench.train.objective import CausalLM, MaskedLM, loss

FAMILY = families.load("bert")
LANGUAGE = [name for name in families.names() if families.load(name).objective != "classification"]
SHAPES = [SPECS[name].resized(layers=3, max_length=32) for name in LANGUAGE] + [
    ModelSpec(family="bert", layers=2, hidden=32, heads=2, ffn=64, vocab=50, max_length=32),
    ModelSpec(family="bert", layers=3, hidden=48, heads=3, ffn=100, vocab=211, max_length=32),
    ModelSpec(family="llama", layers=2, hidden=48, heads=4, kv_heads=1, head_size=8, ffn=100, vocab=90, max_length=32),
]


def counted(forward) -> tuple[float, float]:
    """FLOPs that torch counts for a forward and for the backward of its value."""
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        with FlopCounterMode(display=False) as first:
            value = forward()
        with FlopCounterMode(display=False) as second:
            value.backward()
    return first.get_total_flops(), second.get_total_flops()


@pytest.mark.parametrize("spec", SHAPES, ids=lambda spec: f"{spec.family} {spec.short()}")
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_formula_equals_the_counter(spec: ModelSpec, attention: str) -> None:
    family = families.load(spec.family)
    model = family.build(family.config(spec, attn_implementation=attention, **family.dropout(0.0)))
    objective = MaskedLM(0.15, 4, spec.vocab) if family.objective == "mlm" else CausalLM()
    batch = objective.batch(torch.randint(5, spec.vocab, (4, 32)), seed=0, step=0)
    cost = flops.step(spec, family, batch=4, length=32, positions=objective.positions(32))
    forward, backward = counted(lambda: loss(family, model, batch))
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


def test_stackbert_schedules_cost_what_the_papers_imply() -> None:
    full = per_token(12, 768)
    costs = [per_token(depth, 768) / full for depth in (3, 6, 12)]
    assert sum(c * s for c, s in zip(costs, (50, 70, 280), strict=True)) / 400 == pytest.approx(0.826, abs=5e-4)
    assert sum(c * s for c, s in zip(costs, (30, 40, 30), strict=True)) / 100 == pytest.approx(0.592, abs=5e-4)
