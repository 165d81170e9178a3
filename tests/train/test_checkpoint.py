"""A restored checkpoint loses nothing, and the optimizer has every parameter."""

import numpy as np
import torch
from support.helpers import SOURCE, no_dropout

from growbench import families
from growbench.plan import flops
from growbench.train import checkpoint
from growbench.train.batches import Batches
from growbench.train.build import Recipe
from growbench.train.build import trainer as build_trainer
from growbench.train.data import PackedSequences
from growbench.train.loop import Trainer
from growbench.train.objective import MaskedLM

FAMILY = families.load("bert")


def sequences(seed: int = 0, stream: str = "target") -> PackedSequences:
    return PackedSequences(np.arange(5, 5 + 15 * 40, dtype=np.uint16) % 45 + 5, 16, 2, seed, stream)


def trainer(seed: int = 0) -> Trainer:
    objective = MaskedLM(0.2, 4, SOURCE.vocab)
    model = FAMILY.build(FAMILY.config(SOURCE, **no_dropout()), seed=seed).train()
    cost = flops.step(SOURCE, FAMILY, batch=4, length=16, positions=objective.positions(16))
    return build_trainer(FAMILY, model, Batches(sequences(seed), objective, 4), cost, Recipe(betas=(0.9, 0.98)))


def test_a_restored_checkpoint_trains_on_to_the_same_bytes(tmp_path) -> None:
    whole, half = trainer(), trainer()
    for i in range(6):
        whole.step(i, 1e-3)
    for i in range(3):
        half.step(i, 1e-3)
    checkpoint.save_state(tmp_path / "state", checkpoint.snapshot(half.model, half.opt), {"step": 3})
    state = checkpoint.load_state(tmp_path / "state")
    other = trainer(seed=1)
    assert not checkpoint.load_tensors(tmp_path / "state", other.model, other.opt)
    other.batches = half.batches
    for i in range(state["step"], 6):
        other.step(i, 1e-3)
    for a, b in zip(whole.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_every_parameter_is_in_the_optimizer_once_and_vectors_do_not_decay() -> None:
    made = trainer()
    grouped = [p for g in made.opt.param_groups for p in g["params"]]
    assert {id(p) for p in grouped} == {id(p) for p in made.model.parameters()} and len(grouped) == len(
        set(map(id, grouped))
    )
    assert all(p.dim() > 1 for g in made.opt.param_groups if g["weight_decay"] for p in g["params"])
