"""Records: one JSON file per finished job, with its provenance, written last and atomically."""

import datetime
import hashlib
import json
import os
import platform
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError, shown
from growbench.records import identity, schemas
from growbench.runtime import durable

VERSION = 2
PACKAGES = ("growbench", "torch", "transformers", "tokenizers", "numpy")


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

    config_hash: digest of the part of the config that the record depends on. values: what this kind of record holds
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


def digest(values: Any) -> str:
    """Return the first 12 hex digits of the SHA-256 of a JSON-able value, keys sorted."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:12]


def provenance(threads: int, processes: int = 1) -> dict[str, Any]:
    """Return commit, versions, hardware and date of the running job, whose processes have this many CPU threads each."""
    commit, dirty = _commit()
    return {
        "commit": commit,
        "dirty": dirty,
        "versions": {"python": platform.python_version(), **_versions()},
        "hardware": _hardware(processes),
        "threads": threads,
        "processes": processes,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
    }


@cache
def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _commit() -> tuple[str, bool]:
    """Return the checkout's commit and whether its code differs from it (results and figures do not count)."""
    root = Path(__file__).resolve().parents[3]

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "--no-optional-locks", "-C", str(root), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "src", "workflow", "config", "Snakefile")
        return git("rev-parse", "--short=12", "HEAD"), bool(changed)
    except (OSError, subprocess.CalledProcessError):
        return "unknown", False


@cache
def _hardware(processes: int) -> str:
    """Return the hardware class: number and name of the GPUs if any is used, else the CPU's model and core count."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return f"{processes} x " * (processes > 1) + str(torch.cuda.get_device_name())
    name = platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return f"{name}, {os.cpu_count()} cores"
