"""Methods: one file each, discovered by name. See _contract.py. Nothing here imports torch."""

import ast
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
from growbench.records import identity

__all__ = [
    "COMMON",
    "Method",
    "Option",
    "code",
    "files",
    "identity_depth",
    "integer_ratio",
    "load",
    "names",
    "require_equal_groups",
    "require_multiples",
]

CONTRACT = "_contract"


def names() -> list[str]:
    """Return the names of all methods."""
    return sorted(p.stem for p in Path(__file__).parent.glob("[!_]*.py"))


def load(name: str) -> Method:
    """Return the method of this name. Raises GrowBenchError with the nearest name if there is none."""
    if name not in names():
        raise GrowBenchError(f"methods: '{name}' is not known; {nearest(name, names())}")
    method: Method = importlib.import_module(f"growbench.methods.{name}").METHOD
    return method


def code(name: str) -> str:
    """Return the digest of a method's code: of all its files, without comments and docstrings."""
    return identity.code_digest(files(name))


def files(name: str) -> list[Path]:
    """Return the files that a method is made of: its own, and those in this folder that they import.

    The contract counts as part of growth's engine, whose version stands for it.
    """
    load(name)
    found, todo = {}, [name]
    while todo:
        module = todo.pop()
        path = Path(__file__).parent / f"{module}.py"
        if module not in found and module != CONTRACT and path.is_file():
            found[module] = path
            todo += _imported(path)
    return [found[module] for module in sorted(found)]


def _imported(path: Path) -> list[str]:
    """Return the names of what a file imports from this folder; some may not be modules."""
    named: list[str] = []
    for node in ast.walk(identity.parsed(path)):
        if isinstance(node, ast.Import):
            named += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = f"{__name__}.{node.module or ''}".rstrip(".") if node.level else node.module
            named += [f"{origin}.{alias.name}" for alias in node.names] + [str(origin)]
    inner = [name.removeprefix(f"{__name__}.") for name in named if name.startswith(f"{__name__}.")]
    return [name.partition(".")[0] for name in inner]
