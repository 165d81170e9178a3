"""In which type each tensor of the target is stored: the source's, tensor by tensor, or one that is asked for."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import reduce

import torch

from growbench.errors import GrowBenchError, nearest
from growbench.families import Role
from growbench.growth.depth import Depth
from growbench.growth.experts import made_of
from growbench.growth.transfer import stem
from growbench.pipeline.grow.files import DTYPES, STORED, name_of

Types = Mapping[str, torch.dtype]


def asked(name: str | None) -> torch.dtype | None:
    """Return the dtype that `--dtype` names. Raises GrowBenchError for a name that is not known."""
    if name is None:
        return None
    if name not in DTYPES:
        raise GrowBenchError(f"--dtype {name}: not known; {nearest(name, DTYPES)}")
    return STORED[DTYPES[name]]


def widest(dtypes: Iterable[torch.dtype]) -> torch.dtype:
    """Return the narrowest type that holds the numbers of all these types."""
    return reduce(torch.promote_types, dtypes)


def main(types: Types, sizes: Mapping[str, int]) -> torch.dtype:
    """Return the type that most parameters have. sizes: the number of entries of each tensor."""
    counts: Counter[torch.dtype] = Counter()
    for name, dtype in types.items():
        counts[dtype] += sizes[name]
    return max(counts, key=lambda dtype: (counts[dtype], dtype.itemsize))


def of_target(source: Types, roles: Mapping[str, Role], grown_roles: Mapping[str, Role], depth: Depth) -> Types:
    """Return the type of each tensor of the target: that of the source's tensors that it is made of.

    A layer that is made of several has the type that holds all of their numbers. A tensor that the source does not have has
    the type that holds those of all tensors.
    """
    names = {(stem(name, role), role.layer): name for name, role in roles.items()}
    found = {}
    for name, role in grown_roles.items():
        if role.made_of:
            found[name] = widest(source[part] for part in made_of(name, role))
            continue
        layers = [None] if role.layer is None else [layer for layer, _ in depth[role.layer].sources]
        parts = [names[key] for layer in layers if (key := (stem(name, role), layer)) in names]
        found[name] = widest([source[part] for part in parts] or source.values())
    return found


def table(types: Types, sizes: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return how many tensors and parameters have each type, by its name."""
    found: dict[str, dict[str, int]] = {}
    for name, dtype in types.items():
        row = found.setdefault(name_of(dtype), {"tensors": 0, "parameters": 0})
        row["tensors"] += 1
        row["parameters"] += sizes[name]
    return found
