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


def short_documents(rows: int, length: int) -> torch.Tensor:
    """Return [CLS] and documents of three words and [SEP] (3)."""
    ids = torch.randint(5, 50, (rows, length), generator=torch.Generator().manual_seed(0))
    ids[:, 4::4], ids[:, 0] = 3, 2
    return ids


def test_special_tokens_are_neither_predicted_nor_drawn() -> None:
    objective, ids = MaskedLM(0.3, 4, 50, frozenset({0, 2, 3})), short_documents(400, 32)
    batch = objective.batch(ids, seed=0, step=0)
    assert not torch.isin(batch.labels, torch.tensor([0, 2, 3, 4])).any()
    assert (batch.positions // 32).bincount().tolist() == [objective.positions(32)] * 400
    shown = batch.inputs.flatten()[batch.positions]
    drawn = shown[(shown != 4) & (shown != batch.labels)]
    assert sorted(set(drawn.tolist())) == [1, *range(5, 50)]  # all ordinary ids, and no other
    share = torch.bincount(batch.positions % 32, minlength=32)[[1, 2, 3]] / 400
    assert share == pytest.approx(9 / 24, abs=0.08)  # 9 of the 24 words of a row, wherever they stand


def test_a_row_with_few_words_predicts_them_twice_and_costs_the_same() -> None:
    objective, ids = MaskedLM(0.5, 4, 50, frozenset({3})), torch.full((2, 9), 3)
    ids[0, 5], ids[0, 7], ids[1, 1:] = 20, 21, 22
    batch = objective.batch(ids, seed=0, step=0)
    assert batch.positions.view(2, 4)[0].tolist() == [5, 5, 7, 7] and batch.labels[:4].tolist() == [20, 20, 21, 21]
    assert len(set(batch.positions[4:].tolist())) == 4


def test_a_causal_model_predicts_special_tokens_too() -> None:
    ids = short_documents(3, 16)
    assert (CausalLM().batch(ids, 0, 0).labels == 3).sum() == 3 * 3 and CausalLM().ordinary(ids).all()
