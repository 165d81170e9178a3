"""Masked and causal language modeling: what is predicted, and from which inputs."""

import pytest
import torch

from growbench.train.objective import CausalLM, MaskedLM


def test_masking_keeps_labels_and_leaves_cls_alone() -> None:
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
