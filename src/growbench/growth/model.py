"""Grow one model into a bigger one with a method's maps."""

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from growbench import families
from growbench.errors import GrowBenchError
from growbench.families import Family
from growbench.growth.depth import check_depth
from growbench.growth.experts import made_of
from growbench.growth.learned.composition import Composition, anatomy_of, bundles
from growbench.growth.learned.recipe import Learned
from growbench.growth.operator import Maps, Operator, Options
from growbench.growth.transfer import transfer
from growbench.growth.widening import Widening
from growbench.runtime import discover
from growbench.spec import ModelSpec

STREAM = 0x67726F77  # keeps the random numbers of the maps apart from others of the same seed


def operator_of(
    family: Family,
    config: Any,
    target: ModelSpec,
    method: Maps,
    options: Options,
    seed: int,
    model_class: Any = None,
) -> tuple[Operator, Any]:
    """Draw the maps of one growth and make the target's stock config. The same seed gives the same maps.

    config: the source's stock config. model_class: its stock class; None for the one with the pre-training head.
    Raises GrowBenchError if this method cannot grow this source into this target.
    """
    source, traits = family.spec(config), family.traits(config)
    method.check(source, target, traits, options)
    rng = np.random.default_rng([seed, STREAM])
    widening = discover.called(Widening, method.widen, source, target, options, rng)
    tied = family.tied(config, model_class or family.model_class())
    if tied and family.output_norm(config) is None:
        _require_untouched_head(widening, source, target)
    depth = method.deepen(source.layers, target.layers, options)
    check_depth(depth, source.layers, target.layers)
    share = widening.statistics.get(family.norm, 1.0)
    scaled = {family.norm_eps: traits.eps * share} if family.norm_eps and traits.eps and share != 1 else {}
    listed = family.layer_settings(config, [layer.sources[0][0] for layer in depth])
    mixing = method.mixing(options)
    grown_family = family if mixing is None else _mixture(family, config, target, model_class)
    grown_config = grown_family.config(target, base=config, **scaled, **listed)
    operator = Operator(
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
        mixing=mixing,
    )
    return operator, grown_config


def _mixture(family: Family, config: Any, target: ModelSpec, model_class: Any) -> Family:
    """Return the target's family of mixtures. Raises GrowBenchError if it cannot hold what the dense model has."""
    mixture = families.mixture_of(family.name)
    if target.family != mixture.name:
        raise GrowBenchError(
            f"target.family: {target.family} does not have the layers of {family.name}; use {mixture.name}"
        )
    mixture.check_source(config)
    model_class = model_class or family.model_class()
    grown = mixture.roles(mixture.config(target, base=config), mixture.counterpart(family, model_class))
    used = {source for name, role in grown.items() for source in made_of(name, role)}
    for name in family.roles(config, model_class):
        if name not in used:
            raise GrowBenchError(f"{mixture.name} has no place for {name}; use a {family.name} without it")
    return mixture


def grown_class_of(family: Family, grown: Family, model_class: Any) -> Any:
    """Return the target's stock class for the source's: the same one, or that of the family of mixtures."""
    return model_class if grown is family else families.mixture_of(family.name).counterpart(family, model_class)


def _require_untouched_head(widening: Widening, source: ModelSpec, target: ModelSpec) -> None:
    """Raise GrowBenchError if a widening divides what a tied head reads, and no norm can take the factor instead."""
    if (widening.residual.read != 1).any():
        raise GrowBenchError(
            f"target.hidden: {target.hidden} would scale the tied head's logits, and this {source.family} has no norm "
            "before its head to undo it; untie the head (tie_word_embeddings: false) or use zero_pad"
        )


def grow_model(
    model: nn.Module, family: Family, target: ModelSpec, method: Maps, options: Options, *, seed: int = 0
) -> nn.Module:
    """Return a stock model of the target spec grown from `model`. The source is not changed.

    An operator that can be learned is taken as it starts.
    """
    if method.needs_data:
        return compose_model(model, family, target, method, options, seed=seed).merged()
    config: Any = model.config
    operator, grown_config = operator_of(family, config, target, method, options, seed, type(model))
    grown_family = operator.target_family
    grown_class = grown_class_of(family, grown_family, type(model))
    grown = grown_family.build(grown_config, seed=seed, model_class=grown_class)
    for parameter in grown.parameters():
        parameter.data = parameter.data.to(next(model.parameters()).dtype)
    source = {name: p.detach() for name, p in model.named_parameters()}
    slots = dict(grown.named_parameters())
    roles, grown_roles = family.roles_of(model), grown_family.roles_of(grown)
    with torch.no_grad():
        for name, tensor in transfer(operator, source, roles, grown_roles):
            slots[name].copy_(tensor)
    return grown


def compose_model(
    model: nn.Module, family: Family, target: ModelSpec, method: Maps, options: Options, *, seed: int = 0
) -> Composition:
    """Return the target of a method that learns, as a composition of a copy of `model` and the factors."""
    config: Any = model.config
    operator, grown_config = operator_of(family, config, target, method, options, seed, type(model))
    roles, grown_roles = (family.roles(c, type(model)) for c in (config, grown_config))
    source = {name: parameter.detach() for name, parameter in model.named_parameters()}
    found = bundles(operator, roles, {name: tensor.shape for name, tensor in source.items()})
    learned = discover.called(Learned, method.learned, anatomy_of(operator, found), options)
    build = partial(family.build, grown_config, seed=seed, model_class=type(model))
    return Composition(operator, learned, found, source, grown_roles, build, seed)
