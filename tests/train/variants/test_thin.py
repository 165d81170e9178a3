"""Thin models: what they cost, what they share, and that nothing of them is left when they are whole again."""

from copy import deepcopy

import pytest
import torch
from support.helpers import SPECS, inputs, move
from support.torch_flops import LANGUAGE, counted
from torch import nn

from growbench import families
from growbench.errors import GrowBenchError
from growbench.families import Family, embeddings_path
from growbench.growth.transfer import split
from growbench.plan import flops, lengths
from growbench.spec import ModelSpec
from growbench.train import checkpoint
from growbench.train.objective import CausalLM, MaskedLM, loss
from growbench.train.optimizer import adamw
from growbench.train.variants import pool
from growbench.train.variants import shared_attention as attention
from growbench.train.variants.thin import LowRank, Thin, thin, whole

RANK, SHARED, BOTH = Thin(rank=0.2), Thin(shared=True), Thin(rank=0.2, shared=True)
HOWS = pytest.mark.parametrize("how", [RANK, SHARED, BOTH], ids=["rank", "shared", "both"])
NAMES = pytest.mark.parametrize("name", LANGUAGE)
PARTIAL = {
    "gpt_neox": {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25}}
}


def stock(name: str, *, layers: int = 2, dtype: torch.dtype = torch.float64, seed: int = 0, **settings) -> nn.Module:
    """A model of random parameters, biases and gains included."""
    family, spec = families.load(name), SPECS[name].resized(layers=layers, max_length=32)
    config = family.config(spec, **{**family.dropout(0.0), **settings})
    return move(family.build(config, seed=seed).to(dtype), seed + 1)


def trained(name: str, how: Thin, *, steps: int = 3, seed: int = 0, **settings) -> nn.Module:
    """A thin model with every parameter moved, after a few optimizer steps."""
    torch.manual_seed(seed)
    model = move(thin(families.load(name), stock(name, seed=seed, **settings), how), seed + 2)
    train(families.load(name), model, adamw(model, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01), steps)
    return model


def train(family: Family, model: nn.Module, opt: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        opt.zero_grad()
        logits = logits_of(family, model).flatten(0, 1)
        nn.functional.cross_entropy(logits, torch.arange(len(logits)) % logits.shape[-1]).backward()
        opt.step()


def logits_of(family: Family, model: nn.Module) -> torch.Tensor:
    return family.head(model, family.encode(model, inputs(family, model.config)))


def close(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool((a - b).abs().max() <= 1e-10 * b.abs().max())


def attentions(family: Family, model: nn.Module) -> list[str]:
    """Paths of the attention modules, layer by layer."""
    roles = family.roles(model.config, type(model))
    names = {r.layer: n for n, r in roles.items() if r.kind == "q" and n.endswith(".weight")}
    return [names[layer].rsplit(".", 2)[0] for layer in sorted(names)]


def queries_keys(family: Family, model: nn.Module, layer: int) -> dict[tuple[str, str], torch.Tensor]:
    """The query and key weights and biases of a layer, also where they are fused."""
    found, spec = {}, family.spec(model.config)
    for name, role in family.roles(model.config, type(model)).items():
        if role.layer == layer and role.kind in ("q", "k", "norm_q", "norm_k"):
            for component, tensor in zip(role.components, split(model.get_parameter(name), role, spec), strict=True):
                found[component.kind, name.rpartition(".")[2]] = tensor
    return {key: tensor for key, tensor in found.items() if key[0] in ("q", "k", "norm_q", "norm_k")}


@HOWS
@NAMES
def test_a_thin_step_costs_what_the_counter_counts(name: str, how: Thin) -> None:
    family = families.load(name)
    for layers in (2, 3):
        model = thin(family, stock(name, layers=layers, dtype=torch.float32, attn_implementation="eager"), how)
        spec = family.spec(model.config)
        objective = MaskedLM(0.15, 4, spec.vocab) if family.objective == "mlm" else CausalLM()
        batch = objective.batch(torch.randint(5, spec.vocab, (4, 32)), seed=0, step=0)
        kinds = {"rank": how.rank, "shared": how.shared}
        cost = flops.step(spec, family, batch=4, length=32, positions=objective.positions(32), **kinds)
        forward, backward = counted(lambda model=model, batch=batch: loss(family, model, batch))
        assert forward == pytest.approx(cost.forward, rel=1e-3)
        assert forward + backward == pytest.approx(cost.flops, rel=1e-3)


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_a_thin_step_on_pooled_inputs_costs_what_the_counter_counts(name: str) -> None:
    family = families.load(name)
    model = thin(family, stock(name, layers=3, dtype=torch.float32), SHARED)
    spec, path = family.spec(model.config), embeddings_path(model)
    objective = MaskedLM(0.15, 4, spec.vocab)
    batch = objective.batch(torch.randint(5, spec.vocab, (4, 32)), seed=0, step=0)
    positions = objective.positions(32)
    length = lengths.pooled(32, 2, positions)
    cost = flops.step(spec, family, batch=4, length=length, positions=positions, shared=True)
    forward, backward = counted(lambda: pool.loss(family, model, path, batch, 2))
    assert forward == pytest.approx(cost.forward, rel=1e-3)
    assert forward + backward == pytest.approx(cost.flops, rel=1e-3)


def test_the_cost_of_a_thin_bert_base() -> None:
    """r = 154 of 768: the FFN costs 154 (768 + 3072) / (768 x 3072) = 0.251; six of twelve layers halve attention."""
    family = families.load("bert")
    spec = ModelSpec(family="bert", layers=12, hidden=768, heads=12, ffn=3072, vocab=30522, max_length=512)
    ffn = 12 * 2 * 2 * 128 * 768 * 3072
    dense = flops.body(spec, family, 128)
    assert flops.factor_rank(0.2, 768, 3072) == 154
    assert flops.body(spec, family, 128, rank=0.2) == pytest.approx(dense - (1 - 0.2507) * ffn, rel=1e-4)
    assert flops.body(spec, family, 128, shared=True) == pytest.approx(dense - (dense - ffn) / 4)


def test_products_of_new_factors_have_the_standard_deviation_of_a_stock_start() -> None:
    family = families.load("gpt2")
    config = family.config(SPECS["gpt2"].resized(hidden=192, heads=3, ffn=768))
    torch.manual_seed(0)
    model = whole(family, thin(family, family.build(config), RANK))
    names = [n for n, r in family.roles(config).items() if r.kind in ("fc1", "fc2") and n.endswith("weight")]
    for name in names:
        assert model.get_parameter(name).std().item() == pytest.approx(family.init_std(config), rel=0.05)


@NAMES
def test_low_rank_ffns_come_back_exactly(name: str) -> None:
    family, model = families.load(name), trained(name, RANK)
    factors = [module for module in model.modules() if isinstance(module, LowRank)]
    assert len(factors) == 2 * family.ffn_matrices
    before = logits_of(family, model).detach()
    assert close(logits_of(family, whole(family, model)), before)


@pytest.mark.parametrize("layers", [2, 3])
@NAMES
def test_a_light_layer_uses_the_probabilities_of_the_layer_before(name: str, layers: int) -> None:
    family, model = families.load(name), trained(name, SHARED, layers=layers)
    seen: list[torch.Tensor] = []
    paths = attentions(family, model)
    for path in paths:
        model.get_submodule(path).register_forward_hook(lambda module, args, out: seen.append(out[1]))
    model.zero_grad()
    logits_of(family, model)
    assert seen[1] is seen[0] and torch.allclose(seen[0].sum(-1), torch.ones((), dtype=torch.float64))
    assert layers == 2 or not torch.equal(seen[2], seen[1])
    assert all(link.held is None for p in paths for k, link in vars(model.get_submodule(p)).items() if k == "_lends")


@NAMES
def test_gradients_flow_through_shared_probabilities(name: str) -> None:
    """Where layer 0 does not read the result of its attention, its queries learn from the light layer alone."""
    family, model = families.load(name), trained(name, SHARED)
    roles = family.roles(model.config)
    weights = {(r.layer, r.kind): n for n, r in roles.items() if n.endswith(".weight")}
    with torch.no_grad():
        model.get_parameter(weights[0, "o"]).zero_()
    model.zero_grad()
    logits_of(family, model).square().mean().backward()
    gradient = model.get_parameter(weights[0, "q"]).grad
    assert gradient is not None
    assert split(gradient, roles[weights[0, "q"]], family.spec(model.config))[0].abs().max() > 1e-9


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox"])
def test_a_light_fused_projection_gives_the_values_of_the_stock_one(name: str) -> None:
    family, model = families.load(name), stock(name)
    plain, light = deepcopy(model), thin(family, model, SHARED)
    path = next(n for n, r in family.roles(plain.config).items() if r.layer == 1 and r.kind == "q").rpartition(".")[0]
    role = family.roles(plain.config)[f"{path}.bias"]
    hidden = torch.randn(3, 12, plain.config.hidden_size, dtype=torch.float64)
    there, here = (m.get_submodule(path)(hidden).flatten(0, 1).T for m in (plain, light))
    for component, a, b in zip(
        role.components, *(split(t, role, family.spec(plain.config)) for t in (there, here)), strict=True
    ):
        assert torch.allclose(b, a if component.kind == "v" else torch.zeros_like(a))


@NAMES
def test_queries_and_keys_come_back_as_copies(name: str) -> None:
    family = families.load(name)
    model = stock(name, layers=3)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    whole(family, thin(family, model, SHARED))
    roles = family.roles(model.config)
    roles, spec = family.roles(model.config), family.spec(model.config)
    for parameter, role in roles.items():
        pieces = (split(tensor, role, spec) for tensor in (model.get_parameter(parameter), before[parameter]))
        for component, now, then in zip(role.components, *pieces, strict=True):
            of_queries = component.kind in ("q", "k", "norm_q", "norm_k")
            assert torch.equal(now, then) or (role.layer == 1 and of_queries), parameter
    first, second = (queries_keys(family, model, layer) for layer in (0, 1))
    assert first.keys() == second.keys() and first
    for key, tensor in first.items():
        assert torch.equal(second[key], tensor)
        assert second[key].untyped_storage().data_ptr() != tensor.untyped_storage().data_ptr()


@HOWS
@NAMES
def test_nothing_thin_is_left(name: str, how: Thin, tmp_path) -> None:
    family, fresh = families.load(name), stock(name, layers=3)
    model = whole(family, trained(name, how, layers=3))
    assert {n: type(m) for n, m in model.named_modules()} == {n: type(m) for n, m in fresh.named_modules()}
    assert [(n, p.shape) for n, p in model.named_parameters()] == [(n, p.shape) for n, p in fresh.named_parameters()]
    shapes = [[(k, v.shape) for k, v in m.state_dict().items()] for m in (model, fresh)]
    assert shapes[0] == shapes[1]
    assert model.config._attn_implementation == fresh.config._attn_implementation
    assert model.config.to_dict() == fresh.config.to_dict()
    assert vars(model).keys() == vars(fresh).keys()
    storages = [p.untyped_storage().data_ptr() for p in model.parameters()]
    assert len(set(storages)) == len(storages)
    model.save_pretrained(tmp_path)
    read = type(model).from_pretrained(tmp_path, dtype=torch.float64)
    assert torch.equal(logits_of(family, read.eval()), logits_of(family, model.eval()))
    train(family, model, torch.optim.AdamW(model.parameters()), 1)


@NAMES
def test_the_attention_function_is_the_stock_one(name: str) -> None:
    family, model = families.load(name), stock(name, **PARTIAL.get(name, {})).eval()
    expected = logits_of(family, model)
    model.config._attn_implementation = attention.NAME
    assert close(logits_of(family, model), expected)


@HOWS
@NAMES
def test_a_snapshot_brings_a_thin_model_back(name: str, how: Thin) -> None:
    family = families.load(name)
    settings = {"lr": 1e-3, "betas": (0.9, 0.98), "weight_decay": 0.01}
    one, two = trained(name, how), trained(name, how, seed=5, steps=0)
    opts = [adamw(model, **settings) for model in (one, two)]
    train(family, one, opts[0], 2)
    tensors = checkpoint.snapshot(one, opts[0])
    checkpoint.restore(two, opts[1], tensors)
    for model, opt in zip((one, two), opts, strict=True):
        train(family, model, opt, 2)
    assert torch.equal(logits_of(family, one), logits_of(family, two))
    assert len({n for n, _ in one.named_parameters()}) == len(list(one.parameters()))
    if family.tied(two.config):
        assert two.get_output_embeddings().weight is two.get_input_embeddings().weight


@NAMES
def test_models_of_one_config_do_not_meet(name: str) -> None:
    family = families.load(name)
    plain = stock(name).eval()
    expected = logits_of(family, plain)
    models = [family.build(plain.config, seed=seed).double().eval() for seed in (1, 2)]
    for model in models:
        thin(family, model, SHARED)
    alone = [logits_of(family, model) for model in models]
    again = deepcopy(models[0])
    assert torch.equal(logits_of(family, plain), expected)
    whole(family, models[0])
    assert torch.equal(logits_of(family, models[1]), alone[1])
    assert torch.equal(logits_of(family, again), alone[0])
    assert models[0].config is plain.config


@NAMES
def test_autocast_and_dropout(name: str) -> None:
    family = families.load(name)
    model = thin(family, stock(name, dtype=torch.float32, **family.dropout(0.1)), BOTH).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = logits_of(family, model).float().square().mean()
    value.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)


def test_a_thin_model_is_not_made_thin_again() -> None:
    model = trained("gpt2", SHARED, steps=0)
    with pytest.raises(GrowBenchError, match="already thin"):
        thin(families.load("gpt2"), model, RANK)
