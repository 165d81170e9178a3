"""Methods: one file each, discovered by name. See _contract.py. Nothing here imports torch."""

import ast
from pathlib import Path
from typing import Any

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
from growbench.runtime import discover

__all__ = [
    "COMMON",
    "Method",
    "Option",
    "broken",
    "code",
    "files",
    "identity_depth",
    "integer_ratio",
    "load",
    "loaded",
    "names",
    "require",
    "require_equal_groups",
    "require_multiples",
]

CONTRACT = "_contract"


FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Return the names of all methods, including those whose files are broken."""
    return discover.names(FOLDER)


def require(name: str) -> None:
    """Raise GrowBenchError with the nearest name if there is no method of this name."""
    if name not in names():
        raise GrowBenchError(f"methods: '{name}' is not known; {nearest(name, names())}")


def load(name: str) -> Method:
    """Return the method of this name.

    Raises GrowBenchError with the nearest name if there is none, or with the reason if its file is broken.
    """
    require(name)
    method: Method = discover.load(__name__, FOLDER, name, _method)
    return method


def loaded() -> list[Method]:
    """Return all methods whose files are not broken."""
    bad = broken()
    return [load(name) for name in names() if name not in bad]


def broken() -> dict[str, str]:
    """Return why a file is broken, in one line, by the name of its method."""
    found = {}
    for name in names():
        try:
            load(name)
        except GrowBenchError as error:
            found[name] = str(error)
    return found


def _method(module: Any) -> Method:
    """Return a module's METHOD. Raises an error that says what is wrong with it."""
    method = getattr(module, "METHOD", None)
    if not isinstance(method, Method):
        raise GrowBenchError("it has no METHOD, an instance of its subclass of Method")
    if method.name != module.__name__.rpartition(".")[2]:
        raise GrowBenchError(f"its METHOD is that of {method.name}.py")
    method.row(), method.check_options({})
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
        path = FOLDER / f"{module}.py"
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
