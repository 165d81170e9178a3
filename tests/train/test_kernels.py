"""Faster kernels compute what the stock ones compute."""

import pytest
import torch
import torch.nn.functional as F

from growbench import families
from growbench.train import activations, cross_entropy


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("outer", [1.0, 0.25])
def test_the_gradient_that_was_kept_is_that_of_cross_entropy(dtype, outer):
    rng = torch.Generator().manual_seed(0)
    logits = (3 * torch.randn(40, 17, generator=rng)).to(dtype).requires_grad_()
    stock = logits.detach().clone().requires_grad_()
    labels = torch.randint(0, 17, (40,), generator=rng)
    ours = cross_entropy.mean(logits, labels)
    theirs = F.cross_entropy(stock.to(torch.promote_types(dtype, torch.float32)), labels)
    (outer * ours).backward()
    (outer * theirs).backward()
    near = {torch.float64: 1e-12, torch.float32: 1e-6, torch.bfloat16: 1e-6}[dtype]
    assert ours.dtype == theirs.dtype and abs(ours.item() - theirs.item()) < near
    torch.testing.assert_close(logits.grad, stock.grad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("rows", [1, 7, 40])
def test_the_size_of_the_pieces_changes_no_bit(dtype, rows, monkeypatch):
    rng = torch.Generator().manual_seed(0)
    start = (3 * torch.randn(40, 1001, generator=rng)).to(dtype)
    labels = torch.randint(0, 1001, (40,), generator=rng)

    def computed(piece):
        monkeypatch.setattr(cross_entropy, "PIECE", piece)
        logits = start.clone().requires_grad_()
        value = cross_entropy.mean(logits, labels)
        value.backward()
        return value.detach(), logits.grad, cross_entropy.each(start, labels)

    for split, whole in zip(computed(rows * 1001), computed(start.numel()), strict=True):
        assert torch.equal(split, whole)


def test_no_position_has_no_losses():
    assert cross_entropy.each(torch.zeros(0, 5), torch.zeros(0, dtype=torch.long)).shape == (0,)


def test_a_token_without_any_chance_has_its_true_loss():
    logits = torch.tensor([[0.0, 500.0], [0.0, 1.0]], requires_grad=True)
    value = cross_entropy.mean(logits, torch.tensor([0, 1]))
    assert value.item() == pytest.approx((500 + F.softplus(torch.tensor(-1.0)).item()) / 2)
    value.backward()
    torch.testing.assert_close(logits.grad[0], torch.tensor([-0.5, 0.5]))


def test_logits_that_are_not_finite_give_a_loss_that_is_not():
    logits = torch.tensor([[0.0, float("nan")]], requires_grad=True)
    assert not torch.isfinite(cross_entropy.mean(logits, torch.tensor([0])))


def test_gelu_becomes_one_kernel_with_the_same_values():
    family = families.load("gpt2")
    model = family.build(family.config(family.example_spec(), **family.dropout(0.0)), seed=0).double()
    inputs = family.inputs(model.config, batch=2, length=9, seed=0)
    before = family.encode(model, inputs)
    kinds = {type(module).__name__ for module in model.modules()}
    activations.fuse(model)
    assert "NewGELUActivation" in kinds and "NewGELUActivation" not in {type(m).__name__ for m in model.modules()}
    torch.testing.assert_close(family.encode(model, inputs), before, rtol=1e-12, atol=1e-12)
