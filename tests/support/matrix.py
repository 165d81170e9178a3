"""The matrix of the contract tests: every method x family x case x option. Models to grow are made once."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import torch
from support.helpers import SPECS, doubled, one_and_a_half, perturbed
from torch import nn

from growbench import families, methods
from growbench.growth.masking import Masks
from growbench.growth.model import grow_model, operator_of
from growbench.spec import ModelSpec

MIXING = [name for name in methods.names() if "experts" in methods.load(name).grows]
GROWING = [m.name for m in map(methods.load, methods.names()) if m.grows and not m.shrinks and m.name not in MIXING]
FAMILIES = families.names()
PAIRS = [(method, family) for method in GROWING for family in FAMILIES]


def cases(family: str) -> dict[str, tuple[ModelSpec, ModelSpec]]:
    """Return (source, target) by what grows."""
    spec = SPECS[family].resized(layers=2)
    three = spec.resized(layers=3)
    made = {
        "depth x 2": (spec, spec.resized(layers=4)),
        "depth 3 to 5": (three, three.resized(layers=5)),
        "width x 2": (spec, doubled(spec)),
        "width x 1.5": one_and_a_half(spec),
        "both": (spec, doubled(spec).resized(layers=3)),
        "ffn x 2": (spec, spec.resized(ffn=2 * spec.ffn)),
        "ffn odd": (spec, spec.resized(ffn=spec.ffn + 7)),
    }
    if "head_size" in families.load(family).sizes:
        made["heads"] = (spec, spec.resized(heads=2 * spec.heads, kv_heads=2 * spec.kv_heads))
        made["query heads"] = (spec, spec.resized(heads=2 * spec.heads, kv_heads=spec.kv_heads))
    return made


def variants(method: str) -> Iterator[dict[str, Any]]:
    """Yield the defaults, then each option's other values, one option at a time; for a number, four times its default.

    An operator that is learned is taken as it starts.
    """
    chosen = methods.load(method)
    start = {"steps": 0} if chosen.needs_data else {}
    yield chosen.check_options(start)
    for name, option in chosen.options.items():
        if name in start:
            continue
        small = 1 if isinstance(option.default, int) else 0.005
        others = option.choices or ((option.default or small) * 4,) if option.choices or option.range else ()
        for value in others:
            fits = value in option.choices or option.range is None or option.range[0] <= value <= option.range[1]
            if value != option.default and fits:
                yield chosen.check_options(start | {name: value})


def claimed(
    method: str, family: str, case: tuple[ModelSpec, ModelSpec], options: Mapping[str, Any], seed: int = 0
) -> bool:
    """Return whether a growth is said to preserve the function. Raises GrowBenchError if it is refused."""
    chosen, made = families.load(family), methods.load(method)
    config = source_model(family, case[0]).config
    operator, _ = operator_of(chosen, config, case[1], made, options, seed)
    return made.masked or (made.exact(*case, chosen.traits(config), options) and operator.keeps_head_norms)


@cache
def source_model(family: str, spec: ModelSpec, dtype: torch.dtype = torch.float64) -> nn.Module:
    """Return a perturbed model. Growing must not change it, so that it can be shared."""
    return perturbed(families.load(family), spec, dtype=dtype)


def grow(
    method: str,
    family: str,
    case: tuple[ModelSpec, ModelSpec],
    options: Mapping[str, Any] | None = None,
    *,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
) -> tuple[nn.Module, nn.Module]:
    """Return (source, target) of one growth. A masked method's target has its masks at 0."""
    chosen, model = methods.load(method), source_model(family, case[0], dtype)
    given = options if options is not None else chosen.check_options({})
    target = grow_model(model, families.load(family), case[1], chosen, given, seed=seed)
    if chosen.masked:
        mask(target, method, family, case, given, seed)
    return model, target.eval()


def mask(
    target: nn.Module,
    method: str,
    family: str,
    case: tuple[ModelSpec, ModelSpec],
    options: Mapping[str, Any],
    seed: int = 0,
) -> Masks:
    """Put the masks of a growth on its target, at 0."""
    chosen, model = families.load(family), source_model(family, case[0])
    operator, config = operator_of(chosen, model.config, case[1], methods.load(method), options, seed)
    return Masks(operator, target, chosen.roles(config))
