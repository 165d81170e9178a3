"""Moments: they grow by parameter name, with the factor of the gradient."""

import pytest
import torch
from support.helpers import inputs
from support.matrix import FAMILIES, cases, grow, source_model

from growbench import families, methods
from growbench.errors import GrowBenchError
from growbench.growth.model import operator_of
from growbench.growth.moments import POLICIES, grow_moments

COPYING = [
    ("bert2bert_fpi", {}),
    ("hypercloning", {}),
    ("hypercloning", {"variant": "diagonal"}),
    ("lemon", {"fanout": "equal", "noise": 0.0}),
    ("net2net", {"noise": 0.0}),
    ("staged", {}),
]


def gradients(family: str, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the gradient of one loss, by parameter name."""
    chosen, given = families.load(family), inputs(families.load(family), model.config)
    logits = chosen.head(model, chosen.encode(model, given)).flatten(0, 1)
    loss = torch.nn.functional.cross_entropy(logits, torch.arange(len(logits)) % logits.shape[-1])
    names, parameters = zip(*[(n, p) for n, p in model.named_parameters() if "pooler" not in n], strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


def state(grads: dict[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    return {n: {"exp_avg": g, "exp_avg_sq": g * g, "step": torch.tensor(7.0)} for n, g in grads.items()}


def grown_state(method: str, family: str, case: str, options, moments, policy):
    chosen, made = families.load(family), methods.load(method)
    source, target = cases(family)[case]
    model = source_model(family, source)
    operator, config = operator_of(chosen, model.config, target, made, made.check_options(options), 0)
    return grow_moments(operator, moments, chosen.roles(model.config), chosen.roles(config), policy)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("method", "options"), COPYING)
def test_scaled_moments_equal_those_of_the_grown_models_gradient(method: str, options, family: str) -> None:
    made = methods.load(method)
    source, target = grow(method, family, cases(family)["width x 2"], made.check_options(options))
    old, true = gradients(family, source), gradients(family, target)
    found = grown_state(method, family, "width x 2", options, state(old), "scaled")
    assert found.keys() == true.keys()
    scale = max(float(g.abs().max()) for g in true.values())
    for name, gradient in true.items():
        assert torch.allclose(found[name]["exp_avg"], gradient, atol=1e-10 * scale, rtol=1e-7), name
        assert torch.allclose(found[name]["exp_avg_sq"], gradient**2, atol=1e-10 * scale**2, rtol=1e-6), name
        assert float(found[name]["step"]) == 7.0


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("policy", POLICIES)
def test_moments_have_their_parameters_names_and_shapes(family: str, policy) -> None:
    source, target = grow("bert2bert_aki", family, cases(family)["both"])
    shapes = {n: p.shape for n, p in target.named_parameters() if "pooler" not in n}
    found = grown_state("bert2bert_aki", family, "both", {}, state(gradients(family, source)), policy)
    if policy == "reset":
        assert found == {}
        return
    for key in ("exp_avg", "exp_avg_sq"):
        assert {n: s[key].shape for n, s in found.items()} == shapes


def test_asymmetric_keeps_the_sources_moments_and_starts_copies_at_zero() -> None:
    source, _ = grow("bert2bert_fpi", "bert", cases("bert")["width x 2"])
    old = state(gradients("bert", source))
    found = grown_state("bert2bert_fpi", "bert", "width x 2", {}, old, "asymmetric")
    name = "bert.encoder.layer.1.intermediate.dense.weight"
    rows, columns = old[name]["exp_avg"].shape
    assert torch.equal(found[name]["exp_avg"][:rows, :columns], old[name]["exp_avg"])
    assert found[name]["exp_avg"][rows:].abs().max() == 0 and found[name]["exp_avg"][:, columns:].abs().max() == 0


def test_new_coordinates_start_without_moments_and_copied_ones_with_theirs() -> None:
    source, _ = grow("zero_pad", "bert", cases("bert")["ffn x 2"])
    old = state(gradients("bert", source))
    found = grown_state("zero_pad", "bert", "ffn x 2", {}, old, "copy")
    name = "bert.encoder.layer.0.intermediate.dense.bias"
    size = len(old[name]["exp_avg"])
    assert torch.equal(found[name]["exp_avg"][:size], old[name]["exp_avg"])
    assert found[name]["exp_avg"][size:].abs().max() == 0


def test_a_parameter_without_moments_gets_none_and_order_does_not_matter() -> None:
    source, _ = grow("bert2bert_fpi", "bert", cases("bert")["width x 2"])
    old = state(gradients("bert", source))
    shuffled = dict(sorted(old.items(), key=lambda pair: pair[0][::-1]))
    dropped = shuffled.pop("bert.encoder.layer.0.output.dense.bias")
    found = grown_state("bert2bert_fpi", "bert", "width x 2", {}, shuffled, "copy")
    whole = grown_state("bert2bert_fpi", "bert", "width x 2", {}, old, "copy")
    assert found.keys() == whole.keys() - {"bert.encoder.layer.0.output.dense.bias"}
    for name, entry in found.items():
        assert torch.equal(entry["exp_avg"], whole[name]["exp_avg"]), name
    assert dropped["exp_avg"].abs().max() > 0


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(GrowBenchError, match="not known"):
        grown_state("bert2bert_fpi", "bert", "width x 2", {}, {}, "scale")
