"""Run the workflow through snakemake."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def copy(folder: Path) -> Path:
    """Copy what the workflow needs to a folder, in which nothing has been built; return the folder."""
    for name in ("workflow", "config", "slurm", "src", "docs"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "Snakefile", folder)
    return folder


def snakemake(
    folder: Path, *words: str, python: Path | str = sys.executable, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run snakemake in a folder, by this interpreter."""
    cleaned = {k: v for k, v in os.environ.items() if not k.startswith(("SNAKEMAKE", "PYTEST", "GROWBENCH"))}
    return subprocess.run(
        command(*words, python=python),
        cwd=folder,
        capture_output=True,
        text=True,
        env={**cleaned, **environment},
        timeout=400,
    )


def command(*words: str, python: Path | str = sys.executable) -> list[str]:
    """Return the command that runs snakemake."""
    return [str(python), "-m", "snakemake", "--nocolor", *words]
