"""The user's files below data.dir: UTF-8 text, never outside of it, each with the SHA-256 of the bytes that were read."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from growbench.errors import GrowBenchError
from growbench.study.study import Study


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A text file that was read.

    path: of the file. text: its content, without a byte order mark; line ends as they are.
    sha256: of its bytes, in hex.
    """

    path: Path
    text: str
    sha256: str


def data_folder(study: Study, key: str) -> Path:
    """Return data.dir. Raises GrowBenchError if it is not set. key: the config key whose value is `local`."""
    if study.data.dir is None:
        raise GrowBenchError(
            f"data.dir: not set, but {key} is local; set data.dir or GROWBENCH_DATA to the data folder"
        )
    return Path(study.data.dir)


def check_inside(path: Path, folder: Path) -> None:
    """Raise GrowBenchError if a symbolic link leads from a folder out of it to this file.

    The links of a Hugging Face cache, from snapshots to blobs of the same repository, may do so.
    """
    root, real = os.path.realpath(folder), os.path.realpath(path)
    inside = Path(root, os.path.relpath(path, folder))
    blobs = [parent.parent / "blobs" for parent in inside.parents if parent.name == "snapshots"]
    if not any(Path(real).is_relative_to(place) for place in (Path(root), *blobs)):
        raise GrowBenchError(f"{path}: a link out of {folder}; put the file itself there")


def read(path: Path, folder: Path, remedy: str) -> LocalFile:
    """Return a text file below a folder. Raises GrowBenchError, naming the file, if it cannot be read or is no text.

    remedy: what to do about it.
    """
    check_inside(path, folder)
    try:
        if path.exists() and not path.is_file():
            raise GrowBenchError(f"{path}: not a file; {remedy}")
        data = path.read_bytes()
    except OSError as error:
        raise GrowBenchError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    return LocalFile(path, _decoded(path, data, remedy), hashlib.sha256(data).hexdigest())


def _decoded(path: Path, data: bytes, remedy: str) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise GrowBenchError(f"{path}:{line}: not UTF-8 text; save the file as UTF-8, or {remedy}") from error
    if (place := text.find("\0")) >= 0:
        line = text.count("\n", 0, place) + 1
        raise GrowBenchError(f"{path}:{line}: holds a NUL character, so it is damaged or no text; {remedy}")
    return text.removeprefix("\ufeff")
