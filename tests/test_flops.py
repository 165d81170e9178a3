"""The formula against torch's own counter, and against figures derived for BERT-base."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from growbench import families, flops
from growbench.spec import ModelSpec
from growbench.train.objective import MaskedLM, loss

FAMILY = families.load("bert")
SHAPES = [
    ModelSpec(family="bert", layers=2, hidden=32, heads=2, ffn=64, vocab=50, max_length=32),
    ModelSpec(family="bert", layers=3, hidden=48, heads=3, ffn=100, vocab=211, max_length=32),
]


@pytest.mark.parametrize("spec", SHAPES)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_formula_equals_the_counter(spec: ModelSpec, attention: str) -> None:
    model = FAMILY.build(
        FAMILY.config(spec, attn_implementation=attention, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    )
    objective = MaskedLM(0.15, 4, spec.vocab)
    batch = objective.batch(torch.randint(5, spec.vocab, (4, 32)), seed=0, step=0)
    cost = flops.step(spec, FAMILY, batch=4, length=32, positions=objective.positions(32))
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        with FlopCounterMode(display=False) as forward:
            value = loss(FAMILY, model, batch)
        with FlopCounterMode(display=False) as backward:
            value.backward()
    assert forward.get_total_flops() == pytest.approx(cost.forward, rel=1e-3)
    assert forward.get_total_flops() + backward.get_total_flops() == pytest.approx(cost.flops, rel=1e-3)


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
