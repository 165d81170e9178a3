"""Upcycling: exact for any number of active experts, the right units start anew, and Adam's moments follow."""

import pytest
import torch
from support.helpers import SPECS, inputs
from support.matrix import MIXING, source_model
from support.mixtures import DENSE, EXPERTS, mix, spec_of
from transformers import AutoModelForCausalLM

from growbench import families, methods
from growbench.errors import GrowBenchError
from growbench.growth.model import grow_model, operator_of
from growbench.growth.moments import POWERS, grow_moments
from growbench.growth.preservation import measure

UPCYCLE = methods.load("upcycle")


def drift(dense: str, source: torch.nn.Module, target: torch.nn.Module) -> float:
    family = families.load(dense)
    return measure(family, source, target, inputs(family, source.config)).relative_delta


@pytest.mark.parametrize("family", DENSE)
def test_upcycling_is_exact_for_every_number_of_active_experts(family: str) -> None:
    for active in range(1, EXPERTS + 1):
        for router in ("random", "zero"):
            assert drift(family, *mix("upcycle", family, active=active, router=router)) <= 1e-10
            single = mix("upcycle", family, active=active, router=router, dtype=torch.float32)
            assert drift(family, *single) <= 1e-5


@pytest.mark.parametrize("family", DENSE)
def test_drop_upcycling_is_exact_at_ratio_zero_alone(family: str) -> None:
    chosen, spec, traits = methods.load("drop_upcycling"), SPECS[family], families.load(family).traits()
    for ratio, exact in ((0.0, True), (0.5, False), (1.0, False)):
        options = chosen.check_options({"ratio": ratio})
        assert chosen.exact(spec, spec_of(family), traits, options) == exact
        assert (drift(family, *mix("drop_upcycling", family, ratio=ratio)) <= 1e-10) == exact


@pytest.mark.parametrize("family", DENSE)
def test_each_expert_loses_its_own_half_of_the_units_in_all_three_matrices(family: str) -> None:
    source, target = mix("drop_upcycling", family)
    ffn, shared = SPECS[family].ffn, families.mixture_of(family).shared
    for layer, block in zip(source.model.layers, target.model.layers, strict=True):
        lost = []
        for number in range(EXPERTS):
            gate, up = block.mlp.experts.gate_up_proj[number].split(ffn)
            down = block.mlp.experts.down_proj[number] * (2 if shared else 1)
            pairs = ((gate, layer.mlp.gate_proj.weight, 1), (up, layer.mlp.up_proj.weight, 1))
            anew = [{*(a != b).all(dim).nonzero().flatten().tolist()} for a, b, dim in pairs]
            anew.append({*(down != layer.mlp.down_proj.weight).all(0).nonzero().flatten().tolist()})
            kept = [{*(a == b).all(dim).nonzero().flatten().tolist()} for a, b, dim in pairs]
            assert anew[0] == anew[1] == anew[2] and len(anew[0]) == ffn // 2
            assert kept[0] == kept[1] == set(range(ffn)) - anew[0]
            lost.append(anew[0])
        assert len({frozenset(units) for units in lost}) == EXPERTS
        if shared:
            assert torch.equal(block.mlp.shared_expert.down_proj.weight, layer.mlp.down_proj.weight)


def test_what_starts_anew_has_the_statistics_of_what_it_replaces() -> None:
    spec = SPECS["llama"].resized(ffn=4000, layers=1)
    source = families.load("llama").build(families.load("llama").config(spec), seed=0)
    with torch.no_grad():
        source.model.layers[0].mlp.up_proj.weight.normal_(0.7, 0.3)
    chosen = methods.load("drop_upcycling")
    target_spec = type(spec_of("llama"))(**spec.to_dict() | {"family": "mixtral", "experts": 2, "active": 1})
    options = chosen.check_options({"ratio": 1.0})
    target = grow_model(source, families.load("llama"), target_spec, chosen, options, seed=3)
    up = target.model.layers[0].mlp.experts.gate_up_proj[0, spec.ffn :].detach()
    assert float(up.mean()) == pytest.approx(0.7, abs=0.01) and float(up.std()) == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize("family", DENSE)
@pytest.mark.parametrize("method", MIXING)
def test_seeded_separate_from_the_source_and_trains(method: str, family: str) -> None:
    source, target = mix(method, family, dtype=torch.float32)
    before = {name: p.detach().clone() for name, p in source.named_parameters()}
    for (name, a), b in zip(
        target.named_parameters(), mix(method, family, dtype=torch.float32)[1].parameters(), strict=True
    ):
        assert torch.equal(a, b), name
    assert not torch.equal(
        target.model.layers[0].mlp.gate.weight,
        mix(method, family, dtype=torch.float32, seed=1)[1].model.layers[0].mlp.gate.weight,
    )
    mixture, losses = families.mixture_of(family), []
    optimizer = torch.optim.SGD(target.parameters(), lr=1e-3)
    for _ in range(2):
        optimizer.zero_grad()
        logits = mixture.head(target, mixture.encode(target, inputs(mixture, target.config))).flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(logits, torch.arange(len(logits)) % logits.shape[-1])
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[1] < losses[0] and all(p.grad is not None for p in target.parameters())
    assert all(torch.equal(p, before[name]) for name, p in source.named_parameters())


@pytest.mark.parametrize("family", DENSE)
def test_ties_survive_and_the_directory_reloads(family: str, tmp_path) -> None:
    for tied in (True, False):
        chosen = families.load(family)
        config = chosen.config(SPECS[family], **{**chosen.example_settings, "tie_word_embeddings": tied})
        source = chosen.build(config, seed=1)
        options = UPCYCLE.check_options({})
        target = grow_model(source, chosen, spec_of(family), UPCYCLE, options).eval()
        assert (target.lm_head.weight is target.model.embed_tokens.weight) == tied
        target.save_pretrained(tmp_path / str(tied))
        again = AutoModelForCausalLM.from_pretrained(tmp_path / str(tied)).eval()
        assert type(again) is type(target)
        assert measure(chosen, source, again, inputs(chosen, source.config)).relative_delta <= 1e-5


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_scaled_moments_are_the_gradients_of_a_mixture_whose_experts_are_all_active(family: str) -> None:
    chosen, mixture = families.load(family), families.mixture_of(family)
    source, target = mix("upcycle", family, active=EXPERTS, router="zero")
    for model in (source, target):
        model.zero_grad()
        chosen.head(model, chosen.encode(model, inputs(chosen, source.config))).square().mean().backward()
    step = torch.tensor(3.0)
    given = {n: {"exp_avg": p.grad, "exp_avg_sq": p.grad**2, "step": step} for n, p in source.named_parameters()}
    spec, options = spec_of(family, EXPERTS), UPCYCLE.check_options({"router": "zero"})
    operator, config = operator_of(chosen, source.config, spec, UPCYCLE, options, 0)
    roles, grown_roles = chosen.roles(source.config), mixture.roles(config)
    made = grow_moments(operator, given, roles, grown_roles, "scaled")
    wanted = {n: p.grad for n, p in target.named_parameters()}
    routers = {name for name, role in grown_roles.items() if role.kind == "router"}
    assert made.keys() == wanted.keys() - routers and all(float(m["step"]) == 3 for m in made.values())
    for name, state in made.items():
        for key, power in POWERS.items():
            assert torch.allclose(state[key], wanted[name] ** power, rtol=1e-9, atol=1e-15), (name, key)
    copied = grow_moments(operator, given, roles, grown_roles, "copy")
    down = copied["model.layers.1.mlp.experts.down_proj"]["exp_avg"]
    assert all(torch.equal(one, given["model.layers.1.mlp.down_proj.weight"]["exp_avg"]) for one in down)
    source.zero_grad(), target.zero_grad()


def test_units_that_start_anew_have_no_moments() -> None:
    family, chosen = families.load("llama"), methods.load("drop_upcycling")
    source, options = source_model("llama", SPECS["llama"]), chosen.check_options({})
    given = {
        n: {"exp_avg": torch.ones_like(p), "exp_avg_sq": torch.ones_like(p), "step": torch.tensor(1.0)}
        for n, p in source.named_parameters()
    }
    operator, config = operator_of(family, source.config, spec_of("llama"), chosen, options, 0)
    roles = families.mixture_of("llama").roles(config)
    made = grow_moments(operator, given, family.roles(source.config), roles, "copy")
    _, target = mix("drop_upcycling", "llama")
    for number in range(EXPERTS):
        anew = (
            target.model.layers[0].mlp.experts.down_proj[number] != source.model.layers[0].mlp.down_proj.weight
        ).all(0)
        zero = made["model.layers.0.mlp.experts.down_proj"]["exp_avg"][number] == 0
        assert torch.equal(zero, anew.expand_as(zero))
    first = grow_moments(operator, given, family.roles(source.config), roles, "asymmetric")
    assert not first["model.layers.0.mlp.experts.down_proj"]["exp_avg"][1:].any()


def test_other_sizes_and_dense_targets_are_refused() -> None:
    source, traits = SPECS["llama"], families.load("llama").traits()
    with pytest.raises(GrowBenchError, match=r"target.layers: 4, but upcycle makes experts"):
        UPCYCLE.check(source, spec_of("llama").resized(layers=4), traits, {})
    with pytest.raises(GrowBenchError, match=r"target.experts: upcycle makes mixtures"):
        UPCYCLE.check(source, source, traits, {})
