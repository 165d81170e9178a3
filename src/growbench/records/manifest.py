"""Manifests: JSON files that say what a folder holds, with a digest over themselves, so that a changed digit is detected."""

import json
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError
from growbench.records import identity
from growbench.runtime import durable

DIGEST = "digest"


def write(path: Path, values: dict[str, Any]) -> None:
    """Write a manifest atomically, with its digest. A file that holds the same bytes already is left alone."""
    text = json.dumps({**values, DIGEST: identity.digest(values)}, indent=1, allow_nan=False) + "\n"
    try:
        same = path.read_bytes() == text.encode()
    except OSError:
        same = False
    if not same:
        durable.write_text(path, text)


def read(path: Path, version: int, remedy: str) -> dict[str, Any]:
    """Return a manifest without its digest. Raises GrowBenchError, naming the file, unless it is as it was written.

    remedy: what to do about a manifest of another version or with another digest.
    """
    found = durable.read_json(path)
    if not isinstance(found, dict):
        raise GrowBenchError(f"{path}: not a manifest; {remedy}")
    if found.get("version") != version:
        raise GrowBenchError(f"{path}: version {found.get('version')!r}, not {version}; {remedy}")
    values = {key: value for key, value in found.items() if key != DIGEST}
    try:
        right = found.get(DIGEST) == identity.digest(values)
    except ValueError:  # a number that is not finite
        right = False
    if not right:
        raise GrowBenchError(f"{path}: its digest does not match, so it was changed after it was written; {remedy}")
    return values


def damage(path: Path, sha256: str) -> str | None:
    """Return how a file differs from what a manifest says; None if it has this SHA-256."""
    try:
        return None if durable.digest(path) == sha256 else "its SHA-256 does not match the manifest"
    except OSError as error:
        return "missing" if isinstance(error, FileNotFoundError) else str(error.strerror or error)
