"""Two products around a softmax compute what the stock attention computes."""

import pytest
import torch

from growbench import families
from growbench.train import attention

TEXT = tuple(f.name for f in families.loaded() if f.objective != "classification")


def model_of(name: str, dropout: float = 0.0):
    family = families.load(name)
    config = family.config(family.example_spec(), **family.dropout(dropout))
    return family, family.build(config, seed=0).train()


def hidden(family, model, inputs: torch.Tensor, cast: bool) -> torch.Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=cast):
        return family.encode(model, inputs).float()


@pytest.mark.parametrize("name", TEXT)
def test_every_family_computes_the_same_states_and_gradients(name, monkeypatch):
    called = []
    products = attention._products
    monkeypatch.setattr(attention, "_products", lambda *a: called.append(1) or products(*a))
    family, stock = model_of(name)
    _, ours = model_of(name)
    attention.choose(ours)
    inputs = family.inputs(stock.config, batch=3, length=12, seed=1)
    exact = hidden(family, stock, inputs, cast=False)
    theirs, mine = hidden(family, stock, inputs, cast=True), hidden(family, ours, inputs, cast=True)
    replaced = (
        stock.config._attn_implementation == "sdpa"
    )  # Gemma 2 caps its scores, which stock PyTorch kernels cannot
    assert len(called) == (family.spec(stock.config).layers if replaced else 0)
    rounding = (theirs - exact).abs().max()
    assert (mine - exact).abs().max() < 2 * rounding
    theirs.square().mean().backward()
    mine.square().mean().backward()
    for (key, a), b in zip(stock.named_parameters(), ours.parameters(), strict=True):
        if a.grad is not None and a.grad.norm() > 1e-4:
            assert torch.nn.functional.cosine_similarity(a.grad.flatten(), b.grad.flatten(), 0) > 0.98, key


@pytest.mark.parametrize("name", TEXT)
def test_in_float32_the_stock_kernel_is_used_bit_for_bit(name):
    family, stock = model_of(name)
    _, ours = model_of(name)
    attention.choose(ours)
    inputs = family.inputs(stock.config, batch=2, length=9, seed=1)
    assert torch.equal(hidden(family, stock, inputs, cast=False), hidden(family, ours, inputs, cast=False))


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama"])
def test_padding_is_not_attended_to(name):
    family, model = model_of(name)
    attention.choose(model)
    inputs = family.inputs(model.config, batch=2, length=8, seed=1)
    mask = torch.ones_like(inputs)
    mask[1, 5:] = 0
    other = inputs.clone()
    other[1, 5:] = (other[1, 5:] + 1) % 40 + 5
    with torch.autocast("cpu", dtype=torch.bfloat16):
        one, two = (model.base_model(input_ids=x, attention_mask=mask).last_hidden_state for x in (inputs, other))
    assert torch.equal(one[1, :5], two[1, :5]) and torch.equal(one[0], two[0])


def test_a_causal_model_does_not_see_the_future():
    family, model = model_of("gpt2")
    attention.choose(model)
    inputs = family.inputs(model.config, batch=1, length=8, seed=1)
    later = inputs.clone()
    later[0, 6:] = (later[0, 6:] + 1) % 40
    one, two = hidden(family, model, inputs, cast=True), hidden(family, model, later, cast=True)
    assert torch.equal(one[:, :6], two[:, :6]) and not torch.equal(one[:, 6:], two[:, 6:])


def test_dropout_drops_attention_only_in_training():
    family, model = model_of("bert", dropout=0.5)
    attention.choose(model)
    inputs = family.inputs(model.config, batch=2, length=8, seed=1)
    assert not torch.equal(hidden(family, model, inputs, cast=True), hidden(family, model, inputs, cast=True))
    model.eval()
    assert torch.equal(hidden(family, model, inputs, cast=True), hidden(family, model, inputs, cast=True))


def test_another_implementation_is_left_alone_and_none_is_saved(tmp_path):
    family = families.load("bert")
    eager = family.build(family.config(family.example_spec(), attn_implementation="eager"), seed=0)
    attention.choose(eager)
    assert eager.config._attn_implementation == "eager"
    _, model = model_of("bert")
    before = model.config.to_json_string(use_diff=False)
    attention.choose(model)
    assert model.config.to_json_string(use_diff=False) == before
