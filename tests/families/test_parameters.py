"""A family counts the parameters of its models by formula, so that a budget needs no model."""

import pytest

from growbench import families

LANGUAGE = [family for family in families.loaded() if family.objective != "classification"]
CHANGES = ({}, {"layers": 5, "vocab": 300, "max_length": 40}, {"ffn": 31})


@pytest.mark.parametrize("family", LANGUAGE, ids=lambda family: family.name)
def test_the_formula_counts_every_parameter(family: families.Family) -> None:
    for sizes in CHANGES:
        spec = family.example_spec().resized(**sizes)
        model = family.build(family.config(spec), seed=None)
        assert family.parameters(spec) == sum(parameter.numel() for parameter in model.parameters())
