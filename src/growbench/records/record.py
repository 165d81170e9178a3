"""Records: one JSON file per finished job, written last and atomically, with its provenance."""

import datetime
import hashlib
import json
import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError
from growbench.runtime.durable import write_text

PACKAGES = ("growbench", "torch", "transformers", "tokenizers", "numpy")


def write(path: Path, values: dict[str, Any]) -> None:
    """Write one record as JSON, atomically."""
    write_text(Path(path), json.dumps(values, indent=1, allow_nan=False) + "\n")


def read(path: Path) -> dict[str, Any]:
    """Read one record; raise GrowBenchError naming the file when it is missing or damaged."""
    try:
        with open(path, encoding="utf-8") as handle:
            return json.load(handle)
    except FileNotFoundError as error:
        raise GrowBenchError(f"{path}: no such record; run the job that writes it") from error
    except ValueError as error:
        reason = getattr(error, "msg", None) or "not UTF-8 text"
        raise GrowBenchError(f"{path}: not a whole JSON file ({reason}); delete it and run its job again") from error


def digest(values: Any) -> str:
    """Return the first 12 hex digits of the SHA-256 of a JSON-able value, keys sorted."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:12]


def provenance(threads: int, processes: int = 1) -> dict[str, Any]:
    """Return commit, versions, hardware and date of the running job, which has so many processes of so many CPU threads."""
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
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "src", "workflow", "config", "Snakefile")
        return git("rev-parse", "--short=12", "HEAD"), bool(changed)
    except (OSError, subprocess.CalledProcessError):
        return "unknown", False


@cache
def _hardware(processes: int) -> str:
    """Return the device class: the GPU's name and number where some are used, else the CPU's model and core count."""
    torch = __import__("sys").modules.get("torch")
    if torch is not None and torch.cuda.is_available():
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
