"""Run the workflow through snakemake."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def snakemake(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--nocolor", *words]
    cleaned = {k: v for k, v in os.environ.items() if not k.startswith(("SNAKEMAKE", "PYTEST", "GROWBENCH"))}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env={**cleaned, **environment}, timeout=120
    )
