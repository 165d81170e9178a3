"""Families: one file per architecture, discovered by name. `Role` and its parts are the vocabulary (see _roles.py)."""

from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError, nearest
from growbench.families._family import Family
from growbench.families._logical import Logical, logical
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
from growbench.runtime import discover

__all__ = [
    "WIDENED",
    "Axis",
    "Component",
    "Family",
    "Logical",
    "Role",
    "axis_size",
    "embeddings_path",
    "fixed",
    "layers_path",
    "load",
    "loaded",
    "logical",
    "names",
    "of",
    "reads",
    "resolve",
    "role_of",
    "scales",
    "writes",
]


FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Return the names of all families, including those whose files are broken."""
    return discover.names(FOLDER)


@cache
def load(name: str) -> Family:
    """Return the family of this name.

    Raises GrowBenchError with the nearest name if there is none, or with the reason if its file is broken.
    """
    if name not in names():
        raise GrowBenchError(f"family: '{name}' is not known; {nearest(name, names())}")
    family: Family = discover.load(__name__, FOLDER, name, _family)
    return family


def loaded() -> list[Family]:
    """Return all families whose files are not broken."""
    found = []
    for name in names():
        with suppress(GrowBenchError):
            found.append(load(name))
    return found


def of(config: Any) -> Family:
    """Return the family of a stock config. Raises GrowBenchError with the known model types if there is none."""
    if config.model_type not in names():
        raise GrowBenchError(
            f"model_type: '{config.model_type}' is not a known family; use one of {', '.join(names())}"
        )
    return load(config.model_type)


def _family(module: Any) -> Family:
    """Return a module's FAMILY. Raises an error that says what is wrong with it."""
    family, name = getattr(module, "FAMILY", None), module.__name__.rpartition(".")[2]
    if not isinstance(family, Family):
        raise GrowBenchError("it has no FAMILY, an instance of its subclass of Family")
    if family.name != name:
        raise GrowBenchError(f"its model type is {family.name}, not the name of the file")
    family.example_spec()
    return family
