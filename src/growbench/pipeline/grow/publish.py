"""Publish a grown directory at once: it is written beside OUT_DIR and renamed when it is complete.

While OUT_DIR is being made, its parent also has `.OUT_DIR.lock` and `.OUT_DIR.growing`, a folder with nothing in it but
the folder `model`, which becomes OUT_DIR. Whatever of this a killed process leaves is recognized by these names alone,
and removed by the next growth to OUT_DIR.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from growbench.errors import GrowBenchError
from growbench.runtime import durable, lock

MODEL = "model"


def check_out(source: Path, out: Path) -> None:
    """Raise GrowBenchError unless `out` is absent or empty, not a link, and not inside the source."""
    if not source.is_dir():
        raise GrowBenchError(f"{source}: no such directory; use one that save_pretrained wrote")
    a, b = source.resolve(), out.resolve()
    if a == b or a in b.parents:
        raise GrowBenchError(f"{out}: is inside the source directory {source}; use another directory")
    if _taken(out):
        _sweep(out)
    _require_free(out)
    if b == Path.cwd() or b in Path.cwd().parents:
        raise GrowBenchError(
            f"{out}: is or contains the current directory, which cannot be replaced; use another directory"
        )
    folder = _growing(out)
    if folder == a or folder in a.parents:
        raise GrowBenchError(
            f"{folder}: contains the source, but is also where {out} is written until it is complete; rename one of them"
        )
    if os.path.lexists(folder) and not _unfinished(folder):
        raise GrowBenchError(f"{folder}: is in the way, and it is not an unfinished growth; move it")


def _require_free(out: Path) -> None:
    """Raise GrowBenchError unless `out` is absent or empty, and not a link."""
    if out.is_symlink():
        raise GrowBenchError(f"{out}: is a symbolic link; name the directory that it points to, or remove the link")
    if _taken(out):
        raise GrowBenchError(f"{out}: already exists; remove it or use another name")


def _taken(out: Path) -> bool:
    return out.exists() and (not out.is_dir() or any(out.iterdir()))


def _sweep(out: Path) -> None:
    """Remove what a growth that was killed after it was published left beside `out`."""
    if os.path.lexists(_growing(out)) or os.path.lexists(_lock(out)):
        with suppress(GrowBenchError), _held(out):
            pass


def require_room(out: Path, size: int) -> None:
    """Raise GrowBenchError unless the disk of `out` has room for `size` bytes."""
    place = next(p for p in out.resolve().parents if p.is_dir())
    if (free := shutil.disk_usage(place).free) < size:
        raise GrowBenchError(
            f"{out}: needs {size / 1e9:.3g} GB, but {free / 1e9:.3g} GB are free; use a disk with more room"
        )


@contextmanager
def published(out: Path) -> Iterator[Path]:
    """Yield a folder to write into. It becomes `out` at the end, and is removed after an error."""
    with _held(out) as growing, durable.writing(out):
        _require_free(out)
        folder = growing / MODEL
        folder.mkdir(parents=True)
        try:
            yield folder
            for path in [*folder.rglob("*"), folder]:
                durable.sync(path)
            os.replace(folder, out.resolve())
            durable.sync(out.resolve().parent)
        finally:
            shutil.rmtree(growing, ignore_errors=True)


@contextmanager
def _held(out: Path) -> Iterator[Path]:
    """Hold the lock of `out`, remove what an unfinished growth left, and yield where to write."""
    growing = _growing(out)
    with lock.held(_lock(out)), durable.writing(growing):
        if _unfinished(growing):
            shutil.rmtree(growing)
        yield growing


def _growing(out: Path) -> Path:
    return out.resolve().with_name(f".{out.resolve().name}.growing")


def _lock(out: Path) -> Path:
    return out.resolve().with_name(f".{out.resolve().name}.lock")


def _unfinished(folder: Path) -> bool:
    """Whether a growth left this folder: it contains nothing but the folder MODEL, and neither is a link."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    return all(path.name == MODEL and path.is_dir() and not path.is_symlink() for path in folder.iterdir())
