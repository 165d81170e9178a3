"""Grow one model into a bigger one with a method's maps."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from growbench.families import Family
from growbench.growth.transfer import Growth, transfer
from growbench.methods import Method
from growbench.spec import ModelSpec, check_growth


def growth_of(
    family: Family,
    config: Any,
    target: ModelSpec,
    method: Method,
    options: Mapping[str, Any],
    seed: int,
    init_std: float,
) -> Growth:
    """Draw the maps of one growth; the same seed gives the same maps. Raises GrowBenchError where it is impossible."""
    source = family.spec(config)
    check_growth(source, target)
    rng = np.random.default_rng([seed, 0x67726F77])
    return Growth(
        family=family,
        source=source,
        target=target,
        widening=method.widen(source, target, options, rng),
        depth=method.deepen(source.layers, target.layers, options),
        tied=family.tied(config),
        init_std=init_std,
        seed=seed,
    )


def grow_model(
    model: nn.Module, family: Family, target: ModelSpec, method: Method, options: Mapping[str, Any], *, seed: int = 0
) -> nn.Module:
    """Return a stock model of the target spec grown from `model`; the source is left as it was."""
    config: Any = model.config
    growth = growth_of(family, config, target, method, options, seed, config.initializer_range)
    grown_config = family.config(target, base=config)
    grown = family.build(grown_config, seed=seed).to(next(model.parameters()).dtype)
    source = {name: p.detach() for name, p in model.named_parameters()}
    slots = dict(grown.named_parameters())
    with torch.no_grad():
        for name, tensor in transfer(growth, source, family.roles(config), family.roles(grown_config)):
            slots[name].copy_(tensor)
    return grown
