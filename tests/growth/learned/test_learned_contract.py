"""Every learned operator x family x case: merged as it computes, every factor learns, and it is seeded."""

import pytest
import torch
from support.helpers import inputs
from support.learned import LEARNED, accepted, composed, learns
from support.matrix import FAMILIES, source_model
from support.torch_flops import LANGUAGE
from torch.utils.flop_counter import FlopCounterMode

from growbench import families, methods
from growbench.growth.preservation import measure
from growbench.train.objective import loss

BOUNDS = {torch.float64: 1e-12, torch.float32: 1e-6}
PAIRS = [(method, family) for method in LEARNED for family in FAMILIES]
QUICK = pytest.param("both", id="one case")
EVERY = pytest.param(None, id="every case", marks=pytest.mark.slow)
WITH_TEXT = [(method, family) for method, family in PAIRS if family in LANGUAGE]


FORMS = {"ligo": [{"order": "paper"}], "mango": [{"ranks": [2, 3, 1, 2]}]}  # options that compose in another way


def variants(method: str) -> list[dict]:
    """Return the default options, and those that compose in another way."""
    return [methods.load(method).check_options(form) for form in ({}, *FORMS.get(method, []))]


@pytest.mark.parametrize("only", [QUICK, EVERY])
@pytest.mark.parametrize("dtype", BOUNDS, ids=str)
@pytest.mark.parametrize(("method", "family"), PAIRS)
def test_the_merged_model_is_the_operator_s(method: str, family: str, dtype: torch.dtype, only: str | None) -> None:
    chosen = families.load(family)
    for options in variants(method):
        for name, case in accepted(method, family, options, only):
            made = composed(method, family, case, options, dtype=dtype)
            with torch.no_grad():  # as far from the start as learning may go
                for number, factor in enumerate(made.factors):
                    factor.add_(0.1 * torch.sin(torch.arange(factor.numel(), dtype=dtype) + number).view_as(factor))
            merged = made.merged().eval()
            assert chosen.spec(merged.config) == case[1]
            made.emptied().stock.eval()
            given = inputs(chosen, merged.config).to(dtype) if family == "vit" else inputs(chosen, merged.config)
            logits = chosen.head(merged, chosen.encode(merged, given))
            own = made.call(lambda target, given=given: chosen.head(target, chosen.encode(target, given)))
            assert float((logits - own).detach().abs().max()) <= BOUNDS[dtype] * float(logits.detach().abs().max()), (
                name
            )


@pytest.mark.parametrize("only", [QUICK, EVERY])
@pytest.mark.parametrize(("method", "family"), PAIRS)
def test_every_factor_gets_a_gradient_and_the_source_none(method: str, family: str, only: str | None) -> None:
    chosen = families.load(family)
    for options in variants(method):
        for name, case in accepted(method, family, options, only):
            made = composed(method, family, case, options).emptied()
            before = {n: p.clone() for n, p in source_model(family, case[0]).named_parameters()}
            given = inputs(chosen, made.config)
            with made.opened():
                logits = made.call(lambda target, given=given: chosen.head(target, chosen.encode(target, given)))
                (logits.flatten(0, -2) ** 3).mean().backward()
            missing = [
                n for n, p in zip(made.learned.factors, made.factors, strict=True) if p.grad is None or not p.grad.any()
            ]
            assert not missing, f"{name}: {missing}"
            assert {n for n, _ in made.named_parameters()} == {f"factors.{i}" for i in range(len(made.factors))}
            for n, p in source_model(family, case[0]).named_parameters():
                assert torch.equal(p, before[n])


@pytest.mark.parametrize(("method", "family"), WITH_TEXT)
def test_the_loss_falls_while_it_learns_and_the_same_seed_gives_the_same_bytes(method, family, tmp_path) -> None:
    options = methods.load(method).check_options({"steps": 12})
    chosen, case = families.load(family), dict(accepted(method, family, options))["both"]
    ended = []
    for _ in range(2):
        made = learns(method, case, options)
        frozen = {n: b.clone() for n, b in made.model.named_buffers()}
        batch = made.batches.of(0)
        rate = methods.load(method).learning(options).lr_of_step
        first = float(loss(chosen, made.model.merged().eval(), batch).detach())
        for step in range(12):
            made.step(step, rate(step))
        model = made.model.merged().eval()
        assert float(loss(chosen, model, batch).detach()) < first
        assert all(torch.equal(b, frozen[n]) for n, b in made.model.named_buffers())
        ended.append(model)
    for (n, a), b in zip(ended[0].named_parameters(), ended[1].parameters(), strict=True):
        assert torch.equal(a, b), n
    ended[0].save_pretrained(tmp_path)
    again = chosen.model_class().from_pretrained(tmp_path, dtype=torch.float64).eval()
    assert measure(chosen, ended[0], again, inputs(chosen, again.config)).max_abs_delta == 0


@pytest.mark.parametrize("only", [QUICK, EVERY])
@pytest.mark.parametrize(("method", "family"), WITH_TEXT)
def test_a_step_costs_what_the_counter_counts(method: str, family: str, only: str | None) -> None:
    for options in variants(method):
        for name, case in accepted(method, family, options, only):
            made = learns(method, case, options)
            made.model.stock.set_attn_implementation("eager")
            with torch.no_grad(), FlopCounterMode(display=False) as forward:
                made.model.call(lambda target, made=made: loss(made.family, target, made.batches.of(0)))
            with FlopCounterMode(display=False) as whole:
                made.step(0, 1e-3)
            assert forward.get_total_flops() == pytest.approx(made.cost.forward, rel=1e-3), f"{name} {options}"
            assert whole.get_total_flops() == pytest.approx(made.cost.flops, rel=1e-3), f"{name} {options}"


@pytest.mark.parametrize("method", LEARNED)
def test_micro_batches_compose_the_target_once(method: str) -> None:
    options = methods.load(method).check_options({})
    case = dict(accepted(method, "gpt2", options))["both"]
    whole, pieces = learns(method, case, options), learns(method, case, options, accumulate=2)
    calls = []
    honest = pieces.model.tensors
    pieces.model.tensors = lambda: calls.append(1) or honest()
    for made in (whole, pieces):
        made.step(0, 1e-2)
    assert len(calls) == 1
    for a, b in zip(whole.model.factors, pieces.model.factors, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-9)
