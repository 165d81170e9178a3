"""Families: one file per architecture, discovered by name. See _roles.py for the vocabulary."""

import importlib
from functools import cache
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError, nearest
from growbench.families._family import Family


def names() -> list[str]:
    """Return the discovered families."""
    return sorted(p.stem for p in Path(__file__).parent.glob("[!_]*.py"))


@cache
def load(name: str) -> Family:
    """Return the family of this name; raise GrowBenchError naming the nearest when there is none."""
    if name not in names():
        raise GrowBenchError(f"family: '{name}' is not known; {nearest(name, names())}")
    return importlib.import_module(f"growbench.families.{name}").FAMILY


def of(config: Any) -> Family:
    """Return the family of a stock config; raise GrowBenchError naming the known ones when there is none."""
    for name in names():
        if load(name).model_type == config.model_type:
            return load(name)
    raise GrowBenchError(f"model_type: '{config.model_type}' is not a known family; use one of {', '.join(names())}")
