"""Small studies through SLURM: a copy of the workflow, Snakemake in it, and how far its jobs are."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from support import same_bytes, slurm_node
from support.slurm_node import Node

from growbench.records.layout import Layout, run_name
from growbench.study import files

ROOT = Path(__file__).resolve().parents[2]
QUICK = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5")
LITERAL = ("--cores", "all", "--profile", "slurm")
STUDY = ("--configfile", "config/cluster.yaml")
LAYOUT = Layout("cluster")
RECORD = str(LAYOUT.run_record("scratch", 0))
LOG = str(LAYOUT.log("pretrain", run_name("scratch", 0)))
GOES_ON = "stopped by SIGTERM; run the same command to resume"
# The SLURM plugin looks at its jobs after 1, 11, 21, ... seconds; a test would wait for its last look longer than for the job.
OFTEN = """import sys

if "snakemake" in sys.orig_argv:
    import asyncio

    honest_sleep = asyncio.sleep

    async def sleep(delay, *more):
        return await honest_sleep(min(delay, 2.0), *more)

    asyncio.sleep = sleep
"""
started: list[subprocess.Popen[str]] = []


def tree(folder: Path, steps: int, train: dict[str, Any] | None = None, **changes: Any) -> Path:
    """Return a copy of the workflow with a small study, config/cluster.yaml: the demo with these values."""
    for name in ("workflow", "config", "slurm", "src", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "Snakefile", folder)
    (folder / "src/sitecustomize.py").write_text(OFTEN, encoding="utf-8")
    values = files.read(folder / "config/demo.yaml")
    values.update(study="cluster", seeds=[0], **changes)
    values["data"]["repeat"] = True
    values["corpus"]["max_tokens"] = 200_000
    values["source"]["steps"] = 40
    values["budget"].update(steps=steps, points=[1.0], total=False)
    # a checkpoint is a signal's doing
    values["train"].update({"together": False, "checkpoint_seconds": 3600, "eval_sequences": 64} | (train or {}))
    values["tasks"]["names"] = ["topic", "similarity"]
    values["finetune"].update(epochs=1, source=False)
    (folder / "config/cluster.yaml").write_text(json.dumps(values), encoding="utf-8")
    return folder


def environment(folder: Path) -> dict[str, str]:
    cleaned = {k: v for k, v in os.environ.items() if not k.startswith(("SNAKEMAKE", "PYTEST", "GROWBENCH", "SLURM"))}
    return cleaned | {"PATH": slurm_node.PATH, "PYTHONPATH": str(folder / "src")}


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start Python with these arguments; its output goes to said.txt."""
    with open(folder / "said.txt", "a", encoding="utf-8") as said:
        process = subprocess.Popen(
            [sys.executable, *words], cwd=folder, env=environment(folder), stdout=said, stderr=said, text=True
        )
    started.append(process)
    return process


def ended(process: subprocess.Popen[str], folder: Path, status: int = 0, seconds: float = 900) -> str:
    """Wait until the process that start() started ends with this exit status; return its output."""
    found = process.wait(seconds)
    said = (folder / "said.txt").read_text(encoding="utf-8")
    assert found == status, said[-8000:]
    return said


def snakemake(folder: Path, *words: str) -> subprocess.Popen[str]:
    return start(folder, "-m", "snakemake", "--nocolor", *STUDY, *words)


def differences(one: Path, other: Path, *parts: str) -> list[str]:
    """Return which files of these parts of the results differ, apart from times."""
    return [line for part in parts for line in same_bytes.differences(*(f / LAYOUT.root / part for f in (one, other)))]


def submitted(node: Node, folder: Path, rule: str = "") -> list[dict[str, str]]:
    """Return this folder's jobs (of a rule), in order, as SLURM lists them."""
    return [job for job in node.jobs() if job["WorkDir"] == str(folder) and job["Comment"].startswith(f"rule_{rule}")]


def told(folder: Path) -> str:
    """Return the log of the run's current job: Snakemake removes that of the previous one."""
    path = folder / LOG
    return path.read_text(encoding="utf-8") if path.exists() else ""


def steps(folder: Path) -> int:
    """Return the last training step in the log, 0 if the job has ended."""
    found = re.findall(r"trunk: step (\d+),", told(folder))
    return int(found[-1]) if found and GOES_ON not in told(folder) else 0


def trains(node: Node, folder: Path, more: int = 0) -> dict[str, str]:
    """Wait until a job trains beyond `more` steps; return it."""
    node.wait("training", lambda: steps(folder) > more)
    return submitted(node, folder, "pretrain")[-1]
