"""The logical tensors by formula are those of the stock model."""

from collections import Counter
from math import prod

import pytest
from support.helpers import SPECS, TEXT

from growbench import families
from growbench.families import logical
from growbench.growth.transfer import split


@pytest.mark.parametrize("name", TEXT)
def test_the_formula_gives_the_model_s_tensors(name: str) -> None:
    family, spec = families.load(name), SPECS[name]
    model = family.build(family.config(spec), seed=None)
    roles, found = family.roles(model.config), Counter()
    for parameter_name, parameter in model.named_parameters():
        role = roles[parameter_name]
        for component, piece in zip(role.components, split(parameter, role, spec), strict=True):
            axes = sorted((a.space, a.verb, n) for a, n in zip(component.axes, piece.shape, strict=True))
            kind = "norm" if component.kind.startswith("norm") else component.kind
            layered = role.layer is not None or parameter_name.endswith(tuple(family.stand_ins.values()))
            found[kind, tuple(axes), layered] += 1
    wanted = Counter()
    for one in logical(family, spec):
        axes = sorted((a.space, a.verb, n) for a, n in zip(one.component.axes, one.shape, strict=True))
        kind = "norm" if one.component.kind.startswith("norm") else one.component.kind
        wanted[kind, tuple(axes), one.layered] += spec.layers if one.layered else 1
    assert wanted == found
    total = sum(prod(one.shape) * (spec.layers if one.layered else 1) for one in logical(family, spec))
    assert total == family.parameters(spec) == sum(p.numel() for p in model.parameters())
