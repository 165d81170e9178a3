"""The target's shape from the sizes that a user gives. Sizes left out follow from the source."""

import math
from collections.abc import Mapping

from growbench import families, methods
from growbench.errors import GrowBenchError
from growbench.families import Family
from growbench.methods import Method
from growbench.spec import MIXTURE_KEYS, SHAPE_KEYS, MixtureSpec, ModelSpec

MOST_LAYERS, WIDEST = 10_000, 1 << 22
MOST_EXPERTS, ACTIVE = 4096, 2
AXIS = {"kv_heads": "heads", "head_size": "heads"}  # the axis in Method.grows, where its name differs from the size's


def flag(key: str) -> str:
    """Return the command line's name of a size, such as `--kv-heads`."""
    return "--" + key.replace("_", "-")


def require_plausible(spec: ModelSpec) -> None:
    """Raise GrowBenchError for a size that no model has, before anything is allocated for it."""
    for key in SHAPE_KEYS:
        largest = MOST_LAYERS if key == "layers" else WIDEST
        if (value := getattr(spec, key)) > largest:
            raise GrowBenchError(f"{flag(key)} {value}: no model is that large; use at most {largest}")


def mixture_spec(source: ModelSpec, method: Method, asked: Mapping[str, int | None]) -> MixtureSpec:
    """Return the shape of a mixture of experts with the source's layers. Raises GrowBenchError if it asks for another."""
    if changed := [key for key in SHAPE_KEYS if asked.get(key) not in (None, getattr(source, key))]:
        raise GrowBenchError(
            f"{flag(changed[0])} {asked[changed[0]]}: {method.name} makes experts of FFNs and changes no other size; leave it out"
        )
    experts = asked.get("experts")
    if experts is None:
        raise GrowBenchError(f"--experts: missing, and {method.name} makes mixtures of experts; add --experts N")
    if not 1 <= experts <= MOST_EXPERTS:
        raise GrowBenchError(f"--experts {experts}: not a number of experts; use an integer from 1 to {MOST_EXPERTS}")
    active = asked.get("active")
    family = families.mixture_of(source.family).name
    sizes = source.to_dict() | {"family": family, "experts": experts}
    return MixtureSpec(**sizes, active=min(ACTIVE, experts) if active is None else active)


def target_spec(family: Family, source: ModelSpec, asked: Mapping[str, int | None]) -> ModelSpec:
    """Return the shape that the user asks for, with all other sizes as in the source.

    A new hidden size keeps the head size and scales heads, key/value heads and FFN in proportion. New heads scale the
    key/value heads. Raises GrowBenchError if there are no sizes or they do not fit together.
    """
    given = {key: value for key, value in asked.items() if value is not None}
    if mixed := [key for key in MIXTURE_KEYS if key in given]:
        raise GrowBenchError(
            f"{flag(mixed[0])} {given[mixed[0]]}: only for methods that make mixtures of experts; use one of {', '.join(mixing())}"
        )
    if not given:
        raise GrowBenchError(f"target: no size given; add one or more of {', '.join(flag(key) for key in SHAPE_KEYS)}")
    for key, value in given.items():
        if value < 1:
            raise GrowBenchError(f"{flag(key)} {value}: not a size; use an integer of at least 1")
    hidden = given.get("hidden", source.hidden)
    heads, head_size = _heads(family, source, given)
    sizes = {
        "layers": given.get("layers", source.layers),
        "hidden": hidden,
        "heads": heads,
        "head_size": head_size,
        "kv_heads": given.get("kv_heads") or _kv_heads(source, heads),
        "ffn": given.get("ffn") or round(source.ffn * hidden / source.hidden),
    }
    target = ModelSpec(family=source.family, vocab=source.vocab, max_length=source.max_length, **sizes)
    require_plausible(target)
    if target == source:
        raise GrowBenchError(f"target: its sizes are the source's, {source.short()}; give a larger one")
    return target


def _heads(family: Family, source: ModelSpec, given: Mapping[str, int]) -> tuple[int, int]:
    """Return heads and head size. Unless the family frees the head size, heads x head size is the hidden size."""
    hidden = given.get("hidden", source.hidden)
    free, filled = "head_size" in family.sizes, source.heads * source.head_size == source.hidden
    if "head_size" in given:
        fixed = given["head_size"]
        heads = given.get("heads") or (hidden // fixed if "hidden" in given and filled else source.heads)
    elif "heads" in given:
        heads, fixed = given["heads"], source.head_size
        if "hidden" in given and filled:
            fixed = hidden // heads if hidden % heads == 0 else 0
    else:
        heads, fixed = _proportional(source, given, hidden), source.head_size
    if heads * fixed != hidden and (not free or fixed == 0 or ("hidden" in given and filled)):
        size = fixed or source.head_size
        raise GrowBenchError(
            f"heads: {heads} heads of size {size} do not add up to hidden {hidden}; use {flag('hidden')} {heads * size}"
            + (f" or {flag('heads')} {hidden // size}" if hidden % size == 0 else "")
        )
    return heads, fixed


def _proportional(source: ModelSpec, given: Mapping[str, int], hidden: int) -> int:
    """Return heads in proportion to the hidden size."""
    step = source.hidden // math.gcd(source.hidden, source.heads if "kv_heads" in given else source.kv_heads)
    if hidden % step:
        below, above = hidden // step * step, -(-hidden // step) * step
        fitting = f"{below} or {above}" if below > source.hidden else f"{above}"
        raise GrowBenchError(
            f"--hidden {hidden}: does not hold a whole number of heads of size {source.head_size}; use {fitting}, or add --heads"
        )
    return source.heads * hidden // source.hidden


def _kv_heads(source: ModelSpec, heads: int) -> int:
    """Return key/value heads in proportion to heads."""
    if source.kv_heads * heads % source.heads:
        raise GrowBenchError(
            f"--heads {heads}: no integer number of key/value heads is in proportion to it (the source has "
            f"{source.kv_heads} for {source.heads} heads); add --kv-heads"
        )
    return source.kv_heads * heads // source.heads


def mixing() -> list[str]:
    """Return the names of the methods that make mixtures of experts."""
    return [method.name for method in methods.loaded() if "experts" in method.grows]


def check_sizes(method: Method, source: ModelSpec, target: ModelSpec) -> None:
    """Raise GrowBenchError unless the method can change every size that differs."""
    if not method.grows:
        raise GrowBenchError(
            f"--method {method.name}: it does not grow models; use one of {', '.join(_growing(set()))}"
        )
    changed = [key for key in SHAPE_KEYS if getattr(source, key) != getattr(target, key)]
    axes = {AXIS.get(key, key) for key in changed}
    for key in changed:
        if (axis := AXIS.get(key, key)) not in method.grows:
            able = ", ".join(_growing(axes)) or "none does"
            raise GrowBenchError(f"--method {method.name}: it does not grow {axis}; methods that do: {able}")


def _growing(axes: set[str]) -> list[str]:
    """Return the names of methods that grow all these axes."""
    return [m.name for m in methods.loaded() if m.grows and axes <= set(m.grows) and not m.shrinks and not m.masked]
