"""Studies through a real SLURM: `make test-slurm`. As root, with Debian's slurm-wlm and munge (see slurm_node.py)."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support import slurm_node
from support.cluster import (
    GOES_ON,
    LAYOUT,
    LITERAL,
    LOG,
    QUICK,
    RECORD,
    STUDY,
    differences,
    ended,
    snakemake,
    start,
    started,
    submitted,
    told,
    trains,
    tree,
)
from support.slurm_node import Node

from growbench.runtime import durable, unanswered

LOCK = LAYOUT.run("scratch", 0).lock
SECONDS = 20
DISK = 64  # MB
# A rename is answered as by a file server that was restarted, once for each file `stale`.
STALE = """
import errno, os, pathlib

honest_replace, order = os.replace, pathlib.Path("stale")

def replace(source, target):
    if order.exists() and str(target).endswith("/state"):
        order.unlink()
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(source))
    honest_replace(source, target)

os.replace = replace
"""
ONE_RUN: dict[str, Any] = {"methods": {"scratch": None}, "attention": False}

pytestmark = pytest.mark.slurm


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


def test_a_study_ends_under_slurm_as_on_one_machine(node: Node, tmp_path: Path) -> None:
    methods = {"scratch": None, "bert2bert_aki": None}
    far, near = (tree(tmp_path / name, steps=60, methods=methods) for name in ("far", "near"))
    local = snakemake(near, "--cores", "1", "--", str(LAYOUT.tables / "savings.md"))
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
    assert not differences(far, near, "corpus", "tasks", "runs", "records", "tables")


@pytest.fixture(scope="module")
def prepared(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A run of about SECONDS. Its corpus is built, and an undisturbed reference run trains in a copy."""
    sample, folder = (tmp_path_factory.mktemp(name) / "study" for name in ("sample", "prepared"))
    tree(sample, 200, **ONE_RUN)
    ended(snakemake(sample, "--cores", "2", "--", RECORD), sample)
    trunk = next(row for row in json.loads((sample / RECORD).read_text())["ledger"] if row["phase"] == "trunk")
    tree(folder, max(2000, int(SECONDS * trunk["steps"] / trunk["wall_seconds"])), **ONE_RUN)
    ended(snakemake(folder, "--cores", "2", "--", str(LAYOUT.corpus_manifest)), folder)
    reference = Path(shutil.copytree(folder, folder.with_name("reference")))
    (reference / LOG).parent.mkdir(parents=True)
    words = ("pretrain", "--config", STUDY[1], "--method", "scratch", "--seed", "0", "--log", LOG)
    return Prepared(folder, reference, start(reference, "-m", "growbench", *words))


def saving(prepared: Prepared, folder: Path) -> Path:
    """Return a copy of the prepared study that writes a checkpoint every second."""
    shutil.copytree(prepared.folder, folder, dirs_exist_ok=True)
    path = folder / STUDY[1]
    values = json.loads(path.read_text(encoding="utf-8"))
    values["train"]["checkpoint_seconds"] = 1.0
    path.write_text(json.dumps(values), encoding="utf-8")
    return folder


@contextlib.contextmanager
def disk(place: Path) -> Iterator[Path]:
    """A small disk of its own, mounted at this place."""
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}m", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> None:
    """Write until the disk is full."""
    with contextlib.suppress(OSError), open(place, "wb", buffering=0) as handle:
        while True:
            handle.write(bytes(2**12))


def terminated(process: int) -> bool:
    """Whether SIGTERM is pending for this process, or the process has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return True
    return bool(int(re.findall(r"ShdPnd:\t(\w+)", status)[0], 16) >> (signal.SIGTERM - 1) & 1)


@contextlib.contextmanager
def still(node: Node, folder: Path) -> Iterator[None]:
    """Stop the run's process until the SIGTERM that the block asks for has arrived: a fast run would end before it."""
    process = json.loads((folder / LOCK).read_text(encoding="utf-8"))["pid"]
    os.kill(process, signal.SIGSTOP)
    try:
        yield
        node.wait("SIGTERM", lambda: terminated(process) or GOES_ON in told(folder))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)


def stops(node: Node, folder: Path) -> int:
    """Wait until SIGTERM has ended the current job; return how far it came."""
    node.wait("the end by SIGTERM", lambda: GOES_ON in told(folder))
    return int(re.findall(r"trunk: step (\d+),", told(folder))[-1])


def ends_the_same(folder: Path, undisturbed: Prepared) -> None:
    """Check that the last job resumed from a checkpoint, and that the run ended like the undisturbed one."""
    went_on = re.search(r"resumes at step (\d+)", told(folder))
    assert went_on and int(went_on[1]) > 0, told(folder)
    ended(undisturbed.process, undisturbed.reference)
    assert not differences(folder, undisturbed.reference, "runs", "records")


def test_a_run_longer_than_its_time_limits_finishes_over_three_jobs(
    node: Node, prepared: Prepared, tmp_path: Path
) -> None:
    disturbed = Path(shutil.copytree(prepared.folder, tmp_path / "study"))
    process = snakemake(disturbed, *LITERAL, *QUICK, "--", RECORD)
    far = 0
    for _ in range(2):
        job = trains(node, disturbed, more=far)["JobId"]
        with still(node, disturbed):
            node.run("scontrol", "update", f"JobId={job}", "TimeLimit=3")  # SIGTERM comes two minutes before: now
        far = stops(node, disturbed)
    ended(process, disturbed)
    *before, last = [job["JobState"] for job in submitted(node, disturbed, "pretrain")]
    assert last == "COMPLETED" and len(before) == 2 and set(before) <= {"FAILED", "TIMEOUT"}
    ends_the_same(disturbed, prepared)


def test_a_preempted_and_a_requeued_run_resume(node: Node, prepared: Prepared, tmp_path: Path) -> None:
    disturbed = Path(shutil.copytree(prepared.folder, tmp_path / "study"))
    process = snakemake(disturbed, *LITERAL, *QUICK, "--", RECORD)
    trains(node, disturbed)
    urgent = ("--partition=urgent", "--ntasks=4", "--mem=50", "--output=urgent.out", "--wrap", "srun -n1 true")
    with still(node, disturbed):
        node.run("sbatch", *urgent)
    job = trains(node, disturbed, more=stops(node, disturbed))["JobId"]
    node.run("scontrol", "requeue", job)
    node.wait("the job to wait", lambda: submitted(node, disturbed, "pretrain")[-1]["JobState"] == "PENDING")
    ended(process, disturbed)
    assert submitted(node, disturbed, "pretrain")[-1]["Restarts"] == "1"
    ends_the_same(disturbed, prepared)


def test_after_snakemake_was_killed_resume_stops_its_jobs_and_continues(
    node: Node, prepared: Prepared, tmp_path: Path
) -> None:
    disturbed = Path(shutil.copytree(prepared.folder, tmp_path / "study"))
    words = (*LITERAL, *QUICK, *STUDY, "--", RECORD)
    process = start(disturbed, "-m", "snakemake", *words)
    old = trains(node, disturbed)["JobId"]
    with still(node, disturbed):
        refused = ended(start(disturbed, "workflow/resume.py", *words), disturbed, status=1)
        assert f"resume: snakemake is still running here, process {process.pid}" in refused
        assert "cannot be locked" in ended(start(disturbed, "-m", "snakemake", *words), disturbed, status=1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert "cannot be locked" in ended(start(disturbed, "-m", "snakemake", *words), disturbed, status=1)
        assert submitted(node, disturbed, "pretrain")[-1]["JobState"] == "RUNNING"
        said = ended(start(disturbed, "workflow/resume.py", *words), disturbed)
        assert f"resume: stopping jobs {old} of a snakemake that was killed" in said
    first, second = submitted(node, disturbed, "pretrain")
    assert (first["JobId"], first["JobState"], second["JobState"]) == (old, "CANCELLED", "COMPLETED")
    assert first["EndTime"] <= second["StartTime"]
    ends_the_same(disturbed, prepared)


def test_a_stale_handle_and_a_full_disk_cost_a_job_each(node: Node, prepared: Prepared, tmp_path: Path) -> None:
    with disk(tmp_path / "study/results") as results:
        disturbed = saving(prepared, tmp_path / "study")
        with open(disturbed / "src/sitecustomize.py", "a", encoding="utf-8") as customized:
            customized.write(STALE)
        run, filler = disturbed / LAYOUT.run("scratch", 0).state.parent, results / "filler"
        process = snakemake(disturbed, *LITERAL, *QUICK, "--", RECORD)
        node.wait("a checkpoint", (run / "state").exists, 600)
        (disturbed / "stale").touch()
        node.wait("a stale handle", lambda: "Stale file handle" in told(disturbed))
        line = f"growbench: {LAYOUT.run('scratch', 0).state}: Stale file handle; the file server has replaced it; run the same"
        assert line in told(disturbed) and "Traceback" not in told(disturbed)
        node.wait("the next job", lambda: "resumes at step" in told(disturbed))
        fill(filler)
        node.wait("the full disk", lambda: "No space left on device" in told(disturbed))
        assert "free some space, then run the same command to resume" in told(disturbed)
        assert "Traceback" not in told(disturbed) and not list(run.glob("*.tmp"))
        assert durable.damage(run / "state") is None
        filler.unlink()
        ended(process, disturbed)
        states = [job["JobState"] for job in submitted(node, disturbed, "pretrain")]
        assert states[-1] == "COMPLETED" and len(states) > 2 and set(states[:-1]) == {"FAILED"}
        ends_the_same(disturbed, prepared)


def test_jobs_are_not_forgotten_while_the_controller_is_away(node: Node, prepared: Prepared, tmp_path: Path) -> None:
    disturbed = Path(shutil.copytree(prepared.folder, tmp_path / "study"))
    process = snakemake(disturbed, *LITERAL, *QUICK, "--", RECORD)
    trains(node, disturbed)
    node.kill("slurmctld")
    said, line = disturbed / "said.txt", unanswered.TOLD.format(1)
    try:
        node.wait("a question without an answer", lambda: line in said.read_text(encoding="utf-8"))
    finally:
        node.control()
    ended(process, disturbed)
    (job,) = submitted(node, disturbed, "pretrain")
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "0")
    ended(prepared.process, prepared.reference)
    assert not differences(disturbed, prepared.reference, "runs", "records")
