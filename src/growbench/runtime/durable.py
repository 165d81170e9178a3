"""Files and folders that are complete or absent, even after a crash, a full disk or a power cut.

Everything is written under a temporary name, synced to disk, and renamed. A sealed folder contains manifest.json with the
size and SHA-256 of each of its files. The manifest is written last, so that a damaged folder can be detected.
"""

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError

SEAL = "manifest.json"
RUST = re.compile(r"\(os error (\d+)\)")  # how safetensors and tokenizers report a system error
RESUME = "then run the same command to resume"
REMEDIES = {
    errno.ENOSPC: f"free some space, {RESUME}",
    errno.EDQUOT: f"free some space, {RESUME}",
    errno.EROFS: f"make it writable, {RESUME}",
    errno.EACCES: f"allow access to it, {RESUME}",
    errno.EPERM: f"allow access to it, {RESUME}",
    errno.ESTALE: "the file server has replaced it; run the same command to resume",
}


def fault(place: Path | str, error: OSError) -> GrowBenchError:
    """Return the one-line error for a fault of the file system at a place."""
    remedy = REMEDIES.get(error.errno or 0, f"correct or replace it, {RESUME}")
    return GrowBenchError(f"{place}: {error.strerror or error}; {remedy}")


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn every error of the file system in this context into one line that names the place."""
    try:
        yield
    except OSError as error:
        raise fault(place, error) from error
    except Exception as error:
        if hidden := RUST.search(str(error)):
            number = int(hidden[1])
            raise fault(place, OSError(number, os.strerror(number))) from error
        raise


def refuse_links(path: Path) -> None:
    """Raise GrowBenchError if a folder on the way to a relative path is a symbolic link, the first one excepted.

    So `results` may be a link to another disk, but nothing below it can lead out of it.
    """
    below = [] if path.is_absolute() else [parent for parent in path.parents if len(parent.parts) > 1]
    for folder in reversed(below):
        if folder.is_symlink():
            raise GrowBenchError(
                f"{folder}: is a symbolic link, and nothing is written through links; replace it by a folder"
            )


def no_link(path: str, flags: int) -> int:
    """Open a file for open(..., opener=no_link): a symbolic link in its place is an OSError and is not followed."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def sync(path: Path) -> None:
    """Flush a file, or the list of names in a folder, to disk. File systems that cannot sync a folder are left alone."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write text atomically: `path` is absent, or has all of the old content, or all of the new."""
    temporary = path.with_name(f".{path.name}.tmp")
    refuse_links(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "w", encoding="utf-8", opener=no_link) as handle:
                handle.write(text)
                handle.flush()
                os.fsync(handle.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync(path.parent)


def write_json(path: Path, values: Any) -> None:
    """Write values as one JSON file, atomically. Not-a-number and infinity are refused with ValueError."""
    write_text(path, json.dumps(values, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Return the content of a JSON file. Raises GrowBenchError, naming the file, if it is missing or damaged."""
    try:
        with open(path, encoding="utf-8") as handle:
            return json.load(handle)
    except FileNotFoundError as error:
        raise GrowBenchError(f"{path}: no such file; run snakemake, or the step that writes it") from error
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", None) or "not UTF-8 text"
        raise GrowBenchError(f"{path}: not a complete JSON file ({reason}); delete it and run its job again") from error


@contextmanager
def folder(place: Path, *, keep: bool = False) -> Iterator[Path]:
    """Yield a temporary folder to write into. At the end it is sealed and becomes `place`; after an error it is removed.

    keep: whether the previous folder is kept, as older(place).
    """
    refuse_links(place)
    made = clear(place)
    with writing(place):
        try:
            made.mkdir(parents=True)
            yield made
            complete(made, place, keep=keep)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise


def older(place: Path) -> Path:
    """Return where the previous folder of `place` is kept."""
    return place.with_name(f"{place.name}.old")


def temporary(place: Path) -> Path:
    """Return where `place` is written before it is complete."""
    return place.with_name(f"{place.name}.tmp")


def clear(place: Path) -> Path:
    """Remove what a crash left behind of a folder() for this place; return where that was."""
    shutil.rmtree(temporary(place), ignore_errors=True)
    return temporary(place)


def complete(made: Path, place: Path, *, keep: bool) -> None:
    """Seal a folder that is written and make it `place`. keep: as in folder()."""
    _seal(made)
    _swap(made, place, keep)


def _seal(made: Path) -> None:
    files = sorted(path for path in made.rglob("*") if path.is_file())
    listed = {str(p.relative_to(made)): {"bytes": p.stat().st_size, "sha256": digest(p)} for p in files}
    (made / SEAL).write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
    for path in [*made.rglob("*"), made]:
        sync(path)


def _swap(made: Path, place: Path, keep: bool) -> None:
    old = older(place)
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        os.replace(place, old)
    os.replace(made, place)
    sync(place.parent)
    if not keep:
        shutil.rmtree(old, ignore_errors=True)


def damage(place: Path) -> str | None:
    """Return which file of a sealed folder is damaged and how; None if the folder is as it was written."""
    try:
        listed = json.loads((place / SEAL).read_text(encoding="utf-8"))
        for name, wanted in listed.items():
            size = (place / name).stat().st_size
            if size != wanted["bytes"]:
                return f"{place / name}: {size} bytes, but {wanted['bytes']} were written"
            if digest(place / name) != wanted["sha256"]:
                return f"{place / name}: its SHA-256 does not match its manifest"
    except FileNotFoundError as error:
        return f"{error.filename}: {error.strerror}"
    except (ValueError, TypeError, KeyError, AttributeError):
        return f"{place / SEAL}: not a complete list of files"
    return None


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
