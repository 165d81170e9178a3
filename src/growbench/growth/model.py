"""Grow one model into a bigger one with a method's maps."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from growbench.errors import GrowBenchError
from growbench.families import Family
from growbench.growth.depth import check_depth
from growbench.growth.growth import Growth
from growbench.growth.transfer import transfer
from growbench.methods import Method
from growbench.spec import ModelSpec


def growth_of(
    family: Family,
    config: Any,
    target: ModelSpec,
    method: Method,
    options: Mapping[str, Any],
    seed: int,
    model_class: Any = None,
) -> tuple[Growth, Any]:
    """Draw the maps of one growth, and make the target's stock config; the same seed gives the same maps.

    config: of the source. model_class: its stock class, None for the one with the pre-training head. Raises
    GrowBenchError where this method cannot grow this source into this target.
    """
    source, traits = family.spec(config), family.traits(config)
    method.check(source, target, traits, options)
    widening = method.widen(source, target, options, np.random.default_rng([seed, 0x67726F77]))
    tied, output_norm = family.tied(config, model_class or family.model_class()), family.output_norm(config)
    if tied and output_norm is None and (widening.residual.read != 1).any():
        raise GrowBenchError(
            f"target.hidden: {target.hidden} would scale the tied head's logits, and this {source.family} has no norm before "
            "its head that could undo it; untie the head (tie_word_embeddings: false) or use zero_pad"
        )
    share = widening.statistics.get(family.norm, 1.0)
    depth = method.deepen(source.layers, target.layers, options)
    check_depth(depth, source.layers, target.layers)
    scaled = {family.norm_eps: traits.eps * share} if family.norm_eps and traits.eps and share != 1 else {}
    grown_config = family.config(target, base=config, **scaled)
    growth = Growth(
        family=family,
        source=source,
        target=target,
        widening=widening,
        depth=depth,
        tied=tied,
        output_norm=family.output_norm(grown_config),
        pre_norm=traits.pre_norm,
        init_std=family.init_std(config),
        seed=seed,
    )
    return growth, grown_config


def grow_model(
    model: nn.Module, family: Family, target: ModelSpec, method: Method, options: Mapping[str, Any], *, seed: int = 0
) -> nn.Module:
    """Return a stock model of the target spec grown from `model`; the source is left as it was."""
    config: Any = model.config
    growth, grown_config = growth_of(family, config, target, method, options, seed, type(model))
    grown = family.build(grown_config, seed=seed, model_class=type(model))
    for parameter in grown.parameters():
        parameter.data = parameter.data.to(next(model.parameters()).dtype)
    source = {name: p.detach() for name, p in model.named_parameters()}
    slots = dict(grown.named_parameters())
    roles, grown_roles = (family.roles(c, type(model)) for c in (config, grown_config))
    with torch.no_grad():
        for name, tensor in transfer(growth, source, roles, grown_roles):
            slots[name].copy_(tensor)
    return grown
