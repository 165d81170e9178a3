"""What a fine-tuning run starts from, and its learning rate."""

from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from growbench.pipeline.finetune.fit import renew, share


@pytest.mark.parametrize(("decay", "quarter"), [("linear", 0.75), ("cosine", (2 + 2**0.5) / 4)])
def test_the_lr_rises_then_falls_to_zero(decay: str, quarter: float) -> None:
    shares = [share(step, 110, 10 / 110, decay) for step in range(111)]
    assert shares[:11] == pytest.approx([0.1 * (i + 1) for i in range(10)] + [1.0])
    assert shares[60] == pytest.approx(0.5) and shares[110] == pytest.approx(0)
    assert shares[10:] == sorted(shares[10:], reverse=True)
    assert shares[35] == pytest.approx(quarter)


def test_the_head_is_new_and_follows_from_the_fine_tuning_seed() -> None:
    sizes: dict[str, Any] = {
        "hidden_size": 16,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "vocab_size": 40,
    }
    model = BertForSequenceClassification(BertConfig(**{**sizes, "num_labels": 3}))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    heads = []
    for seed in (0, 1, 0):
        renew(model, seed)
        heads.append(model.classifier.weight.detach().clone())
    assert torch.equal(heads[0], heads[2]) and not torch.equal(heads[0], heads[1])
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"classifier.weight", "bert.pooler.dense.weight"}, "biases start at 0 in any case"
