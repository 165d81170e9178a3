"""What growing gives, family by family: the models themselves, and every method's weights, moments and masks."""

import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from support.helpers import inputs, perturbed
from support.matrix import GROWING, cases, variants
from torch import nn

from golden import numbers
from golden.entry import Entry
from growbench import families, growth, methods
from growbench.errors import GrowBenchError
from growbench.families import Family, Role
from growbench.growth.masking import Masks
from growbench.growth.model import grow_model, operator_of
from growbench.growth.moments import grow_moments
from growbench.plan import flops
from growbench.records import identity
from growbench.spec import ModelSpec

Case = tuple[ModelSpec, ModelSpec]
DETAILED = ("both", "width x 2", "ffn x 2", "depth x 2")  # the first that a method accepts is told in detail
SEED = 3


def entry(name: str) -> Entry:
    """Return the golden entry of a family: its results by method and case, and `models` without any method."""
    found: dict[str, Any] = {"models": _models(families.load(name))}
    found |= {method: dict(_method(method, name)) for method in GROWING}
    versions = {f"version in families/{name}.py": families.load(name).version, "growth.VERSION": growth.VERSION}
    return Entry(versions=versions, code={method: methods.code(method) for method in GROWING}, results=found)


@cache
def _source(name: str, spec: ModelSpec) -> Any:
    """Return a model with every parameter off its default. No optimizer steps: Adam turns rounding errors into signs."""
    return perturbed(families.load(name), spec, steps=0)


def _models(family: Family) -> dict[str, Any]:
    """Return a new model's weights, a perturbed one's logits, the roles, and what a step costs."""
    spec = cases(family.name)["both"][1]
    new, moved = family.build(family.config(spec), seed=SEED), _source(family.name, spec)
    roles = {key: repr(role) for key, role in family.roles(moved.config).items()}
    price = flops.step(spec, family, batch=2, length=8, positions=3, top=1)
    return {
        "new weights": numbers.of(new.parameters()),
        "logits": numbers.of([_logits(family, moved)]),
        "roles": identity.digest(roles)[:16],
        "cost of a step": [price.forward, price.inputs, price.frozen],
    }


def _logits(family: Family, model: Any) -> Any:
    with torch.no_grad():
        return family.head(model, family.encode(model, inputs(family, model.config)))


def _method(method: str, name: str) -> Any:
    """Yield (case, numbers) of a method: all cases with the default options; one of them in detail and with others."""
    chosen, family = methods.load(method), families.load(name)
    usual, *others = variants(method)
    accepted = {}
    for label, case in cases(name).items():
        try:
            accepted[label] = _grown(method, name, case, usual)
        except GrowBenchError:
            continue
    detailed = next(label for label in (*DETAILED, *accepted) if label in accepted)
    for label, model in accepted.items():
        yield label, numbers.of(model.parameters())
    case, grown = cases(name)[detailed], accepted[detailed]
    yield f"{detailed}, by kind of tensor", _by_kind(family, grown)
    for options in others:
        changed = {key: value for key, value in options.items() if value != usual[key]}
        try:
            yield f"{detailed} {changed}", numbers.of(_grown(method, name, case, options).parameters())
        except GrowBenchError:
            continue
    yield from _moments(method, name, case, usual)
    if chosen.masked:
        operator, config = operator_of(family, _source(name, case[0]).config, case[1], chosen, usual, SEED)
        masks = Masks(operator, grown, family.roles(config))
        masks.set(0.5)
        yield "logits at a mask of 0.5", numbers.of([_logits(family, grown)])


def _grown(method: str, name: str, case: Case, options: Mapping[str, Any]) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        source = _source(name, case[0])
        return grow_model(source, families.load(name), case[1], methods.load(method), options, seed=SEED).eval()


def _by_kind(family: Family, model: Any) -> dict[str, list[float]]:
    """Return the numbers of the tensors of each kind, all layers together."""
    roles: Mapping[str, Role] = family.roles(model.config)
    parameters, found = dict(model.named_parameters()), dict[str, list[Any]]()
    for key, role in roles.items():
        found.setdefault(role.kind, []).append(parameters[key])
    return {key: numbers.of(tensors) for key, tensors in found.items()}


def _moments(method: str, name: str, case: Case, options: Mapping[str, Any]) -> Any:
    """Yield the numbers of Adam's moments under each policy. The source's are its weights, and their squares."""
    family, source = families.load(name), _source(name, case[0])
    operator, config = operator_of(family, source.config, case[1], methods.load(method), options, SEED)
    state = {
        key: {"exp_avg": p.detach(), "exp_avg_sq": p.detach() ** 2, "step": torch.tensor(7.0)}
        for key, p in source.named_parameters()
    }
    for policy in ("copy", "scaled", "asymmetric"):
        grown = grow_moments(operator, state, family.roles(source.config), family.roles(config), policy)  # type: ignore[arg-type]
        ordered = [grown[key][part] for key in sorted(grown) for part in ("exp_avg", "exp_avg_sq")]
        yield f"moments, {policy}", numbers.of(ordered)
