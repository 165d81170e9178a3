"""Methods: one file each, discovered by name. See _contract.py. Nothing here imports torch."""

import importlib
from pathlib import Path

from growbench.errors import GrowBenchError, nearest
from growbench.methods._contract import (
    COMMON,
    Method,
    Option,
    identity_depth,
    integer_ratio,
    require_equal_groups,
    require_multiples,
)

__all__ = [
    "COMMON",
    "Method",
    "Option",
    "files",
    "identity_depth",
    "integer_ratio",
    "load",
    "names",
    "require_equal_groups",
    "require_multiples",
]


def names() -> list[str]:
    """Return the names of all methods."""
    return sorted(p.stem for p in Path(__file__).parent.glob("[!_]*.py"))


def load(name: str) -> Method:
    """Return the method of this name. Raises GrowBenchError with the nearest name if there is none."""
    if name not in names():
        raise GrowBenchError(f"methods: '{name}' is not known; {nearest(name, names())}")
    method: Method = importlib.import_module(f"growbench.methods.{name}").METHOD
    return method


def files(name: str) -> list[Path]:
    """Return the files of a method: its own, and those of the methods that it is derived from."""
    modules = {cls.__module__ for cls in type(load(name)).__mro__ if cls.__module__.startswith(f"{__name__}.")}
    found = (Path(__file__).parent / f"{module.rpartition('.')[2]}.py" for module in sorted(modules))
    return [path for path in found if not path.name.startswith("_")]
