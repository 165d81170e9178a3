"""Files that are found by their names: each defines one object. A file that is broken does not disturb the others."""

import importlib
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError, shown


def names(folder: Path) -> list[str]:
    """Return the names of all files in a folder, without those that begin with an underscore or a dot."""
    return sorted(path.stem for path in folder.glob("*.py") if path.name[0] not in "_." and path.is_file())


def load(package: str, folder: Path, name: str, get: Callable[[Any], Any]) -> Any:
    """Return what `get` returns for a module of a package.

    Raises GrowBenchError, one line with the file and the reason, if the module cannot be imported or `get` fails.
    """
    try:
        return get(importlib.import_module(f"{package}.{name}"))
    except (Exception, SystemExit) as error:
        raise GrowBenchError(
            f"{folder.name}/{name}.py: {_reason(error, folder)}; fix the file, or remove it"
        ) from error


def _reason(error: BaseException, folder: Path) -> str:
    """Return in one line what went wrong and where: at the last place in the folder, in whichever of its files."""
    if isinstance(error, GrowBenchError):
        return str(error)
    found = [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        found.append((error.filename or "", error.lineno))
    own = [(Path(file).name, line) for file, line in found if Path(file).parent == folder]
    where = f" ({own[-1][0]}, line {own[-1][1]})" if own else ""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"cannot be used: {shown(f'{type(error).__name__}: {text}')[:300]}{where}"
