"""Masks: the source's function at 0 for any new entries, the stock model at 1, and nothing left after removal."""

import pytest
import torch
from support.helpers import inputs
from support.matrix import FAMILIES, cases, mask, source_model

from growbench import families, methods
from growbench.growth.masking import ramp
from growbench.growth.model import grow_model
from growbench.growth.preservation import measure

MSG = methods.load("msg")


def models(family: str, case: str):
    chosen, pair = families.load(family), cases(family)[case]
    source = source_model(family, pair[0])
    target = grow_model(source, chosen, pair[1], MSG, MSG.check_options({})).eval()
    return chosen, source, target


@pytest.mark.parametrize("case", ["both", "width x 1.5", "depth 3 to 5"])
@pytest.mark.parametrize("family", FAMILIES)
def test_mask_0_is_the_source_and_mask_1_is_the_stock_model(family: str, case: str) -> None:
    chosen, source, target = models(family, case)
    given = inputs(chosen, source.config)
    stock = measure(chosen, source, target, given).relative_delta
    masks = mask(target, "msg", family, cases(family)[case], MSG.check_options({}))
    assert measure(chosen, source, target, given).relative_delta <= 1e-10
    masks.set(0.5)
    half = measure(chosen, source, target, given).relative_delta
    masks.set(1.0)
    whole = measure(chosen, source, target, given).relative_delta
    assert half > 1e-6 and abs(whole - stock) < 1e-12 * max(1.0, stock)
    masks.set(0.0)
    masks.remove()
    assert measure(chosen, source, target, given).relative_delta == stock


@pytest.mark.parametrize("family", FAMILIES)
def test_new_entries_may_have_any_value(family: str) -> None:
    chosen, source, target = models(family, "ffn x 2")
    spec = cases(family)["ffn x 2"][0]
    with torch.no_grad():
        for name, parameter in target.named_parameters():
            if ".0." in name and parameter.dim() == 1 and len(parameter) == 2 * spec.ffn:
                parameter[spec.ffn :] += 5.0
    mask(target, "msg", family, cases(family)["ffn x 2"], MSG.check_options({}))
    assert measure(chosen, source, target, inputs(chosen, source.config)).relative_delta <= 1e-10


def test_hidden_growth_keeps_the_bias_of_the_head() -> None:
    _, source, target = models("bert", "both")
    assert torch.equal(target.cls.predictions.bias, source.cls.predictions.bias)
    assert source.cls.predictions.bias.detach().abs().min() > 0


def test_new_entries_learn_once_the_mask_is_above_zero() -> None:
    chosen, source, target = models("bert", "both")
    masks = mask(target, "msg", "bert", cases("bert")["both"], MSG.check_options({}))
    weight = target.bert.encoder.layer[0].intermediate.dense.weight
    for share, learns in ((0.0, False), (0.1, True)):
        masks.set(share)
        target.zero_grad()
        chosen.head(target, chosen.encode(target, inputs(chosen, source.config))).square().sum().backward()
        assert bool(weight.grad[-1].abs().max() > 0) == learns


def test_the_ramp_is_linear_and_ends() -> None:
    assert [ramp(s, 0.2, 0.4) for s in (0.1, 0.2, 0.4, 0.6, 0.9)] == pytest.approx([0, 0, 0.5, 1, 1])
    assert ramp(0.0, 0.0, 0.0) == 1.0
