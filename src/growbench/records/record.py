"""Records: one JSON file per finished job, written last and atomically."""

import hashlib
import json
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError, shown
from growbench.records import identity, schemas
from growbench.runtime import durable

VERSION = 2


def write(
    path: Path,
    kind: str,
    *,
    study: str,
    method: str,
    seed: int,
    config_hash: str,
    point: str | None = None,
    **values: Any,
) -> Path:
    """Write the record of a finished job, atomically, and return its path.

    config_hash: of the part of the config that the record depends on. values: what this kind of record holds
    besides (records/schemas.py), in the order in which the file is to list it. The digest of everything comes last.
    """
    whose = {"study": study, "method": method, "seed": seed} | ({} if point is None else {"point": point})
    head = {"kind": kind, "version": VERSION, **whose, "config_hash": config_hash}
    made = identity.parts(**head, **values)
    durable.write_json(path, {**made, "digest": identity.digest(made)})
    return path


def read(path: Path, kind: str, method: str, seed: int, point: str | None = None) -> dict[str, Any]:
    """Return a record as it was written.

    Raises GrowBenchError, naming the file, if it is missing, damaged, changed by hand, or the record of something else.
    """
    found = durable.read_json(path)
    if not isinstance(found, dict):
        raise GrowBenchError(f"{path}: not a record; delete the file and run its job again")
    wanted = {"kind": kind, "version": VERSION, "method": method, "seed": seed}
    for key, value in (wanted | ({} if point is None else {"point": point})).items():
        if found.get(key) != value:
            raise GrowBenchError(
                f"{path}: {key} is {brief(found.get(key))}, but must be {value!r}; delete the file and run its job again"
            )
    schemas.check(path, kind, found)
    return found


def brief(value: Any) -> str:
    """Return a value of a file as an error line shows it, cut to 60 characters."""
    text = shown(repr(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


def config_hash(part: Any) -> str:
    """Return what records hold of the part of the config that they depend on: 12 hex digits of its SHA-256.

    It is not identity.digest, which is of other bytes: the hashes of all committed records are of these.
    """
    return hashlib.sha256(json.dumps(part, sort_keys=True, default=str).encode()).hexdigest()[:12]
