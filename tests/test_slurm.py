"""Studies through a real SLURM: `make test-slurm`. As root, with Debian's slurm-wlm and munge (see slurm_node.py)."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import slurm_node
import yaml
from slurm_node import Node

ROOT = Path(__file__).resolve().parents[1]
QUICK = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5")
LITERAL = ("--cores", "all", "--profile", "slurm")
STUDY = ("--configfile", "config/cluster.yaml")
RECORD = "results/cluster/records/pretrain/scratch-s0.json"
LOG = "logs/cluster/pretrain/scratch-s0.log"
TIMES = {"seconds", "wall_seconds", "cpu_seconds", "peak_memory_mb", "provenance"}
ONE_RUN: dict[str, Any] = {"methods": {"scratch": None}, "attention": False}

pytestmark = pytest.mark.slurm
started: list[subprocess.Popen[str]] = []


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    if why := slurm_node.missing():
        pytest.skip(why)
    with Node(cpus=4, gpus=2) as node:
        yield node
        for process in started:  # what a failed test left
            process.kill()


@dataclass
class Prepared:
    """A study of one run with its corpus; that run, undisturbed, in a copy of it, and the process that trains it."""

    folder: Path
    reference: Path
    process: subprocess.Popen[str]


def tree(folder: Path, steps: int, **changes: Any) -> Path:
    """Return a copy of the workflow with a small study, config/cluster.yaml: the demo with these values."""
    for name in ("workflow", "config", "slurm", "src", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "Snakefile", folder)
    values = yaml.safe_load((folder / "config/demo.yaml").read_text(encoding="utf-8"))
    values.update(study="cluster", seeds=[0], **changes)
    values["data"]["repeat"] = True
    values["corpus"]["max_tokens"] = 200_000
    values["source"]["steps"] = 40
    values["budget"].update(steps=steps, points=[1.0])
    values["train"].update(checkpoint_seconds=3600, eval_sequences=64)  # a checkpoint is a signal's doing
    values["tasks"]["names"] = ["topic", "similarity"]
    values["finetune"]["epochs"] = 1
    (folder / "config/cluster.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return folder


def environment() -> dict[str, str]:
    cleaned = {k: v for k, v in os.environ.items() if not k.startswith(("SNAKEMAKE", "PYTEST", "GROWBENCH", "SLURM"))}
    return cleaned | {"PATH": slurm_node.PATH}


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start Python with these words; what it says goes to said.txt."""
    with open(folder / "said.txt", "a", encoding="utf-8") as said:
        process = subprocess.Popen(
            [sys.executable, *words], cwd=folder, env=environment(), stdout=said, stderr=said, text=True
        )
    started.append(process)
    return process


def ended(process: subprocess.Popen[str], folder: Path, status: int = 0, seconds: float = 900) -> str:
    """Wait for the end of what start() started, with this exit status; return what was said in this folder."""
    found = process.wait(seconds)
    said = (folder / "said.txt").read_text(encoding="utf-8")
    assert found == status, said[-8000:]
    return said


def snakemake(folder: Path, *words: str) -> subprocess.Popen[str]:
    return start(folder, "-m", "snakemake", "--nocolor", *STUDY, *words)


def untimed(value: Any) -> Any:
    """Return a record without what may differ between two runs of the same: times, memory, provenance."""
    if isinstance(value, dict):
        return {key: untimed(own) for key, own in value.items() if key not in TIMES}
    return [untimed(own) for own in value] if isinstance(value, list) else value


def results(folder: Path) -> dict[str, Any]:
    """Return a study's records and curves without times, and the bytes of its finished models."""
    found: dict[str, Any] = {}
    for path in sorted((folder / "results/cluster/records").rglob("*.*")):
        name = str(path.relative_to(folder))
        if path.suffix == ".json":
            found[name] = untimed(json.loads(path.read_text(encoding="utf-8")))
        else:
            with open(path, newline="", encoding="utf-8") as handle:
                found[name] = untimed(list(csv.DictReader(handle)))
    for path in sorted((folder / "results/cluster/runs").glob("*/points/*/*.safetensors")):
        found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def submitted(node: Node, folder: Path, rule: str = "") -> list[dict[str, str]]:
    """Return this folder's jobs (of a rule), in order, as SLURM knows them."""
    return [job for job in node.jobs() if job["WorkDir"] == str(folder) and job["Comment"].startswith(f"rule_{rule}")]


def test_a_study_runs_through_slurm_and_ends_as_on_one_machine(node: Node, tmp_path: Path) -> None:
    methods = {"scratch": None, "bert2bert_aki": None}
    far, near = (tree(tmp_path / name, steps=60, methods=methods) for name in ("far", "near"))
    local = snakemake(near, "--cores", "1", "--", "results/cluster/tables/savings.md")
    gpu = ("--set-resources", "finetune:gpu=1")
    said = ended(snakemake(far, *LITERAL, *QUICK, *gpu), far)
    assert "rule aggregate:" in said and (far / "figures/cluster/savings.png").exists()
    jobs = submitted(node, far)
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    rules = [re.match(r"rule_([a-z]+)", job["Comment"])[1] for job in jobs]  # type: ignore[index]
    assert Counter(rules) == {"corpus": 1, "source": 1, "pretrain": 2, "finetune": 2, "attention": 1}
    asked = {
        rule: (job["NumCPUs"], job["MinMemoryNode"], job["TimeLimit"]) for rule, job in zip(rules, jobs, strict=True)
    }
    assert asked == {
        "corpus": ("4", "8000M", "04:00:00"),
        "source": ("1", "4000M", "1-00:00:00"),
        "pretrain": ("1", "6000M", "1-00:00:00"),
        "finetune": ("1", "4000M", "08:00:00"),
        "attention": ("1", "4000M", "01:00:00"),
    }
    assert {rule for rule, job in zip(rules, jobs, strict=True) if "gpu" in str(job)} == {"finetune"}
    assert not list((far / ".snakemake/runs").glob("*"))
    ended(local, near)
    assert results(far) == results(near)


@pytest.fixture(scope="module")
def speed(node: Node, tmp_path_factory: pytest.TempPathFactory) -> float:
    """Training steps a second, on this machine as busy as it is."""
    folder = tree(tmp_path_factory.mktemp("speed") / "study", 200, **ONE_RUN)
    ended(snakemake(folder, "--cores", "2", "--", RECORD), folder)
    trunk = next(row for row in json.loads((folder / RECORD).read_text())["ledger"] if row["phase"] == "trunk")
    return float(trunk["steps"] / trunk["wall_seconds"])


def prepared(folder: Path, steps: int) -> Prepared:
    """Build the corpus of a study of one run of so many steps, and start that run, undisturbed, in a copy of it."""
    tree(folder, steps, **ONE_RUN)
    ended(snakemake(folder, "--cores", "2", "--", "results/cluster/corpus/manifest.json"), folder)
    reference = Path(shutil.copytree(folder, folder.with_name("reference")))
    words = ("pretrain", "--config", STUDY[1], "--method", "scratch", "--seed", "0", "--log", LOG)
    return Prepared(folder, reference, start(reference, "-m", "growbench", *words))


@pytest.fixture(scope="module")
def short(speed: float, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepared(tmp_path_factory.mktemp("short") / "study", int(60 * speed))


@pytest.fixture(scope="module")
def long(speed: float, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Longer than a time limit of two minutes."""
    return prepared(tmp_path_factory.mktemp("long") / "study", int(150 * speed))


def steps(folder: Path) -> int:
    """Return the last training step that the run's log tells."""
    path = folder / LOG
    told = re.findall(r"trunk step (\d+) ", path.read_text(encoding="utf-8")) if path.exists() else []
    return int(told[-1]) if told else 0


def trains(node: Node, folder: Path, more: int = 0) -> dict[str, str]:
    """Wait until the run trains, beyond `more` steps; return its job."""
    node.wait("training", lambda: steps(folder) > more, 300)
    return submitted(node, folder, "pretrain")[-1]


def ends_the_same(folder: Path, undisturbed: Prepared, times: int) -> None:
    """The run went on from a step beyond its first at least this many times, and ended as the undisturbed one."""
    text = (folder / LOG).read_text(encoding="utf-8")
    went_on = [int(step) for step in re.findall(r"goes on at step (\d+)", text)]
    assert len(went_on) >= times and all(went_on) and went_on == sorted(set(went_on)), text
    assert text.count("ended by SIGTERM; the same command goes on") >= times
    ended(undisturbed.process, undisturbed.reference)
    assert results(folder) == results(undisturbed.reference)


def test_a_run_longer_than_its_time_limit_finishes_over_several_jobs(
    node: Node, long: Prepared, tmp_path: Path
) -> None:
    disturbed = Path(shutil.copytree(long.folder, tmp_path / "study"))
    limit = ("--set-resources", "pretrain:runtime=2", "pretrain:slurm_extra='--signal=TERM@1'", "--")
    ended(snakemake(disturbed, *LITERAL, *QUICK, *limit, RECORD), disturbed)
    *before, last = [job["JobState"] for job in submitted(node, disturbed, "pretrain")]
    assert last == "COMPLETED" and len(before) >= 1 and set(before) <= {"FAILED", "TIMEOUT"}
    ends_the_same(disturbed, long, times=1)


def test_a_preempted_and_a_requeued_run_go_on(node: Node, short: Prepared, tmp_path: Path) -> None:
    disturbed = Path(shutil.copytree(short.folder, tmp_path / "study"))
    process = snakemake(disturbed, *LITERAL, *QUICK, "--", RECORD)
    trains(node, disturbed)
    node.run("sbatch", "--partition=urgent", "--ntasks=4", "--mem=50", "--output=urgent.out", "--wrap", "srun -n1 true")
    node.wait("the end of the preempted job", lambda: "ended by SIGTERM" in (disturbed / LOG).read_text(), 60)
    job = trains(node, disturbed, more=steps(disturbed))["JobId"]
    node.run("scontrol", "requeue", job)
    node.wait("the job to wait", lambda: submitted(node, disturbed, "pretrain")[-1]["JobState"] == "PENDING", 60)
    node.run("scontrol", "update", f"JobId={job}", "StartTime=now")  # SLURM lets a requeued job wait for two minutes
    ended(process, disturbed)
    assert submitted(node, disturbed, "pretrain")[-1]["Restarts"] == "1"
    ends_the_same(disturbed, short, times=2)


def test_after_snakemake_was_killed_resume_ends_its_jobs_and_goes_on(
    node: Node, short: Prepared, tmp_path: Path
) -> None:
    disturbed = Path(shutil.copytree(short.folder, tmp_path / "study"))
    words = (*LITERAL, *QUICK, *STUDY, "--", RECORD)
    process = start(disturbed, "-m", "snakemake", *words)
    old = trains(node, disturbed)["JobId"]
    refused = ended(start(disturbed, "workflow/resume.py", *words), disturbed, status=1)
    assert f"resume: snakemake is at work here, process {process.pid}" in refused
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert "cannot be locked" in ended(start(disturbed, "-m", "snakemake", *words), disturbed, status=1)
    assert submitted(node, disturbed, "pretrain")[-1]["JobState"] == "RUNNING"
    said = ended(start(disturbed, "workflow/resume.py", *words), disturbed)
    assert f"resume: ending jobs {old} of a snakemake that was killed" in said
    first, second = submitted(node, disturbed, "pretrain")
    assert (first["JobId"], first["JobState"], second["JobState"]) == (old, "CANCELLED", "COMPLETED")
    assert first["EndTime"] <= second["StartTime"]
    ends_the_same(disturbed, short, times=1)
