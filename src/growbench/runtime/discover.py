"""Files that are found by their names: each defines one object. A file that is broken does not disturb the others."""

import importlib
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from growbench.errors import GrowBenchError, shown

TRACEBACK = "GROWBENCH_TRACEBACK"  # environment variable: an error in a discovered file keeps its traceback
T = TypeVar("T")
_folders: set[Path] = set()  # in which files were found by their names


def names(folder: Path) -> list[str]:
    """Return the names of all files in a folder, without those that begin with an underscore or a dot."""
    return sorted(path.stem for path in folder.glob("*.py") if path.name[0] not in "_." and path.is_file())


def load(package: str, folder: Path, name: str, get: Callable[[Any], Any]) -> Any:
    """Return what `get` returns for a module of a package.

    Raises GrowBenchError, one line with the file and the reason, if the module cannot be imported or `get` fails.
    """
    _folders.add(folder)
    try:
        return get(importlib.import_module(f"{package}.{name}"))
    except (Exception, SystemExit) as error:
        raise GrowBenchError(
            f"{folder.name}/{name}.py: {_reason(error, folder)}; fix the file, or remove it"
        ) from error


@contextmanager
def explained() -> Iterator[None]:
    """Turn an error that a discovered file causes while it runs into one line with the file, its line and the reason.

    An error that came through no such file stays as it is; with the environment variable TRACEBACK, so does every error.
    """
    try:
        yield
    except GrowBenchError:
        raise
    except Exception as error:
        found = place(error, *_folders)
        if found is None or os.getenv(TRACEBACK):
            raise
        file, line = found
        raise GrowBenchError(
            f"{shown(f'{file.parent.name}/{file.name}')}, line {line}: {_brief(error)}; "
            f"fix the file, or set {TRACEBACK}=1 to see the whole traceback"
        ) from error


def called(kind: type[T], function: Callable[..., T], *given: Any) -> T:
    """Return what a function of a discovered file returns. Raises GrowBenchError if it is of another kind."""
    value = function(*given)
    if not isinstance(value, kind):
        raise GrowBenchError(
            f"{function.__module__}: {function.__qualname__} returned {type(value).__name__}, not {kind.__name__}; "
            "fix the file"
        )
    return value


def place(error: BaseException, *folders: Path) -> tuple[Path, int | None] | None:
    """Return the innermost file and line that an error came through in files that are found by name in these folders."""
    found = [(file, line) for file, line in _places(error) if file.parent in folders and file.name[0] != "_"]
    return found[-1] if found else None


def _reason(error: BaseException, folder: Path) -> str:
    """Return in one line what went wrong and where: at the last place in the folder, in whichever of its files."""
    if isinstance(error, GrowBenchError):
        return str(error)
    own = [(file.name, line) for file, line in _places(error) if file.parent == folder]
    where = f" ({own[-1][0]}, line {own[-1][1]})" if own else ""
    return f"cannot be used: {_brief(error)}{where}"


def _places(error: BaseException) -> list[tuple[Path, int | None]]:
    """Return the files and lines that an error came through, innermost last."""
    found = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    return [*found, (Path(error.filename or ""), error.lineno)] if isinstance(error, SyntaxError) else found


def _brief(error: BaseException) -> str:
    """Return an error's type and text, cut to 300 characters."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return shown(f"{type(error).__name__}: {text}".removesuffix(": "))[:300]
