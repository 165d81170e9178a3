"""Data order, masks, schedules and checkpoints: functions of seed and step, and nothing lost on the way."""

import numpy as np
import pytest
import torch
from support.helpers import SOURCE, no_dropout

from growbench import families
from growbench.errors import GrowBenchError
from growbench.plan import flops
from growbench.plan.plan import Plan, Stage
from growbench.plan.schedule import Schedule, cooldown
from growbench.train import checkpoint
from growbench.train.batches import Batches
from growbench.train.build import Recipe
from growbench.train.build import trainer as build_trainer
from growbench.train.data import PackedSequences
from growbench.train.loop import Trainer
from growbench.train.objective import CausalLM, MaskedLM

FAMILY = families.load("bert")


def sequences(seed: int = 0, stream: str = "target") -> PackedSequences:
    return PackedSequences(np.arange(5, 5 + 15 * 40, dtype=np.uint16) % 45 + 5, 16, 2, seed, stream)


def trainer(seed: int = 0) -> Trainer:
    objective = MaskedLM(0.2, 4, SOURCE.vocab)
    model = FAMILY.build(FAMILY.config(SOURCE, **no_dropout()), seed=seed).train()
    cost = flops.step(SOURCE, FAMILY, batch=4, length=16, positions=objective.positions(16))
    return build_trainer(FAMILY, model, Batches(sequences(seed), objective, 4), cost, Recipe(betas=(0.9, 0.98)))


def test_an_epoch_reads_every_sequence_once_and_the_source_reads_from_the_other_end() -> None:
    target, source = sequences(), sequences(stream="source")
    order = [target._sequence(i) for i in range(target.count)]
    assert sorted(order) == list(range(target.count))
    assert [source._sequence(i) for i in range(source.count)] == order[::-1]
    assert [target._sequence(i + target.count) for i in range(target.count)] != order


def test_a_batch_is_cls_and_consecutive_ids() -> None:
    batch = sequences().fetch([3])
    assert batch[0, 0] == 2
    assert batch[0, 1:].tolist() == sequences().ids[45:60].tolist()


def test_masks_keep_labels_and_never_touch_cls() -> None:
    objective = MaskedLM(0.3, 4, 1000)
    ids = torch.randint(5, 1000, (64, 128), generator=torch.Generator().manual_seed(0))
    batch = objective.batch(ids, seed=1, step=2)
    assert torch.equal(batch.labels, ids.flatten()[batch.positions])
    assert (batch.positions % 128 != 0).all() and len(batch.positions.unique()) == 64 * objective.positions(128)
    shown = batch.inputs.flatten()[batch.positions]
    assert (shown == 4).float().mean() == pytest.approx(0.8, abs=0.03)
    assert (shown == batch.labels).float().mean() == pytest.approx(0.1, abs=0.02)
    untouched = torch.ones(ids.numel(), dtype=torch.bool)
    untouched[batch.positions] = False
    assert torch.equal(batch.inputs.flatten()[untouched], ids.flatten()[untouched])
    assert torch.equal(objective.batch(ids, 1, 2).inputs, batch.inputs)
    assert not torch.equal(objective.batch(ids, 1, 3).inputs, batch.inputs)


def test_causal_labels_are_the_next_ids() -> None:
    ids = torch.arange(12).view(2, 6)
    batch = CausalLM().batch(ids, 0, 0)
    assert torch.equal(batch.labels, ids.flatten()[batch.positions] + 1)


def test_schedules() -> None:
    trunk = Schedule(1.0, 10.0, 100.0, "trunk")
    assert [trunk.lr(s, 1.0) for s in (0, 4, 50, 99)] == [0.1, 0.5, 1.0, 1.0]
    paper = Schedule(1.0, 10.0, 100.0, "paper")
    assert paper.lr(55.0, 1.0) == pytest.approx(0.5) and paper.lr(100.0, 1.0) == 0.0
    rates = [cooldown(1.0, 9, i) for i in range(9)]
    assert rates == sorted(rates, reverse=True) and 0 < rates[-1] < rates[0] < 1


def test_a_restored_checkpoint_trains_on_to_the_same_bytes(tmp_path) -> None:
    whole, half = trainer(), trainer()
    for i in range(6):
        whole.step(i, 1e-3)
    for i in range(3):
        half.step(i, 1e-3)
    checkpoint.save_state(tmp_path / "state", checkpoint.snapshot(half.model, half.opt), {"step": 3})
    tensors, state = checkpoint.load_state(tmp_path / "state")
    other = trainer(seed=0)
    checkpoint.restore(other.model, other.opt, tensors)
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


@pytest.mark.parametrize("ends", [(), (0.5,), (0.5, 0.4, 1.0), (0.0, 1.0)])
def test_a_plan_with_bad_shares_is_refused(ends: tuple[float, ...]) -> None:
    with pytest.raises(GrowBenchError, match="plan"):
        Plan(stages=tuple(Stage(spec=SOURCE, until=u, enter="init") for u in ends))
