"""Where a result comes from: commit, versions, hardware and date. Needs the standard library alone."""

import datetime
import os
import platform
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("growbench", "torch", "transformers", "tokenizers", "numpy")


def of(threads: int, processes: int = 1) -> dict[str, Any]:
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
