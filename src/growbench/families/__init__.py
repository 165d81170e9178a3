"""Families: one file per architecture, discovered by name. `Role` and its parts are the vocabulary (see _roles.py)."""

import importlib
from functools import cache
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError, nearest
from growbench.families._family import Family
from growbench.families._roles import (
    WIDENED,
    Axis,
    Component,
    Role,
    axis_size,
    embeddings_path,
    fixed,
    layers_path,
    reads,
    resolve,
    role_of,
    scales,
    writes,
)

__all__ = [
    "WIDENED",
    "Axis",
    "Component",
    "Family",
    "Role",
    "axis_size",
    "embeddings_path",
    "fixed",
    "layers_path",
    "load",
    "names",
    "of",
    "reads",
    "resolve",
    "role_of",
    "scales",
    "writes",
]


def names() -> list[str]:
    """Return the names of all families."""
    return sorted(p.stem for p in Path(__file__).parent.glob("[!_]*.py"))


@cache
def load(name: str) -> Family:
    """Return the family of this name. Raises GrowBenchError with the nearest name if there is none."""
    if name not in names():
        raise GrowBenchError(f"family: '{name}' is not known; {nearest(name, names())}")
    return importlib.import_module(f"growbench.families.{name}").FAMILY


def of(config: Any) -> Family:
    """Return the family of a stock config. Raises GrowBenchError with the known model types if there is none."""
    for name in names():
        if load(name).model_type == config.model_type:
            return load(name)
    raise GrowBenchError(f"model_type: '{config.model_type}' is not a known family; use one of {', '.join(names())}")
