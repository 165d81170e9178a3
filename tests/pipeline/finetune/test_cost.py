"""The FLOPs of a fine-tuning, against torch's counter."""

from typing import Any

import numpy as np
import pytest
import torch
from support import downstream
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForSequenceClassification

from growbench import families
from growbench.pipeline.finetune import cost
from growbench.pipeline.finetune.classify import Classification
from growbench.pipeline.finetune.rows import Encoded, collate, order
from growbench.spec import ModelSpec
from growbench.tasks.glue import TASKS


def rows(count: int) -> Encoded:
    rng = np.random.default_rng(count)
    ids = [rng.integers(5, 30, size).tolist() for size in rng.integers(3, 12, count)]
    return Encoded(ids, [[0] * len(row) for row in ids], rng.integers(0, 2, count))


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_it_is_what_the_steps_multiply(family: str) -> None:
    own = families.load(family)
    spec = ModelSpec(family=family, layers=2, hidden=16, heads=2, ffn=32, vocab=40, max_length=16)
    config = own.config(spec, **own.dropout(0.0), num_labels=2, pad_token_id=0)
    model: Any = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager")
    task = Classification(TASKS["SST-2"], rows(40), rows(8), 16)
    settings = downstream.study(__file__, "SST-2", family=family, epochs=2, batch=8).finetune
    with FlopCounterMode(display=False) as counter:
        for batch in order(task.train, 8, 2, 0):
            task.loss(model, collate(task.train, batch, 0, torch.device("cpu"))).backward()
    assert cost.of(model.config, task, settings, 0) == pytest.approx(counter.get_total_flops(), rel=0.02)
