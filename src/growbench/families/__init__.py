"""Families: one file per architecture, discovered by name. `Role` and its parts are the vocabulary (see _roles.py)."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from growbench.errors import GrowBenchError, nearest
from growbench.families._family import Family
from growbench.families._logical import Logical, logical
from growbench.families._refused import REFUSED
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

if TYPE_CHECKING:
    from growbench.families._mixture import Mixture

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
    "mixture_of",
    "mixtures",
    "named",
    "names",
    "of",
    "reads",
    "resolve",
    "role_of",
    "scales",
    "unknown",
    "writes",
]


FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Return the names of all families, including those whose files are broken."""
    return discover.names(FOLDER)


@cache
def load(name: str) -> Family:
    """Return the family of this name.

    Raises GrowBenchError with the nearest name if there is none, or with the reason if it is refused or its file broken.
    """
    if name not in names():
        if name in mixtures():
            return mixtures()[name]
        raise GrowBenchError(f"family: {unknown(name, nearest(name, names()))}")
    family: Family = discover.load(__name__, FOLDER, name, _family)
    return family


def loaded() -> list[Family]:
    """Return all families whose files are not broken."""
    found = []
    for name in names():
        with suppress(GrowBenchError):
            found.append(load(name))
    return found


@cache
def mixtures() -> dict[str, Mixture]:
    """Return the families of mixtures of experts by name: a dense model can be grown into one, and none is grown itself."""
    from growbench.families._mixture import MIXTURES

    return MIXTURES


def mixture_of(dense: str) -> Mixture:
    """Return the family of mixtures that has the layers of a dense family. Raises GrowBenchError if there is none."""
    for mixture in mixtures().values():
        if dense in mixture.dense:
            return mixture
    able = ", ".join(sorted(name for mixture in mixtures().values() for name in mixture.dense))
    raise GrowBenchError(f"target.experts: there is no stock model of {dense}'s layers with experts; use one of {able}")


def of(config: Any) -> Family:
    """Return the family of a stock config. Raises GrowBenchError with the known families if there is none."""
    return load(named(config.model_type, "model_type"))


def named(model_type: Any, where: str) -> str:
    """Return the name of the family of a stock config's model type. Raises GrowBenchError, beginning with `where`."""
    name = str(model_type).replace("-", "_")
    if name not in names():
        raise GrowBenchError(f"{where}: {unknown(model_type, 'use a model of one of ' + ', '.join(names()))}")
    return name


def unknown(name: Any, remedy: str) -> str:
    """Return in words that there is no such family, and the reason if it is one that cannot be grown."""
    reason = REFUSED.get(str(name))
    return (
        f"{name!r} is not a known family; {remedy}" if reason is None else f"{name} cannot be grown: {reason}; {remedy}"
    )


def _family(module: Any) -> Family:
    """Return a module's FAMILY. Raises an error that says what is wrong with it."""
    family, name = getattr(module, "FAMILY", None), module.__name__.rpartition(".")[2]
    if not isinstance(family, Family):
        raise GrowBenchError("it has no FAMILY, an instance of its subclass of Family")
    if family.name != name:
        raise GrowBenchError(f"its model type is {family.name}, not the name of the file")
    family.example_spec()
    return family
