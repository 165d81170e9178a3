"""Runs on two nodes of a real SLURM: the losses of one process, also after a node was lost. Part of `make test-slurm`."""

import csv
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import slurm_node
from support.cluster import LAYOUT, LITERAL, QUICK, RECORD, STUDY, ended, snakemake, started, submitted, told, tree
from support.slurm_node import Node

METHODS = ("scratch", "bert2bert_fpi")
TABLE = str(LAYOUT.tables / "savings.md")
STEPS = 300
EXACT = {"precision": "float64", "checkpoint_seconds": 0.25}
MEASURED = re.compile("seconds|memory|wall")
pytestmark = pytest.mark.slurm


@pytest.fixture(scope="module")
def two() -> Iterator[Node]:
    if why := slurm_node.missing():
        pytest.skip(why)
    with Node(cpus=4, gpus=2, nodes=2, patience=10, grace=5) as two:
        yield two
        for process in started:  # what a failed test left
            process.kill()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study in float64 of two methods without tasks, with its corpus."""
    folder = tmp_path_factory.mktemp("prepared") / "study"
    tree(folder, STEPS, EXACT, methods=dict.fromkeys(METHODS), attention=False)
    changed(folder, tasks={"names": []}, zeroshot={"names": []})
    ended(snakemake(folder, "--cores", "2", "--", str(LAYOUT.corpus_manifest)), folder)
    return folder


def changed(folder: Path, **values: dict[str, Any]) -> Path:
    """Change values of a study's config."""
    path = folder / STUDY[1]
    config = json.loads(path.read_text())
    path.write_text(json.dumps({k: v | values[k] if k in values else v for k, v in config.items()}))
    return folder


def copy(prepared: Path, folder: Path, **train: Any) -> Path:
    """Return a copy of the prepared study that trains like this."""
    return changed(Path(shutil.copytree(prepared, folder, symlinks=True)), train=train)


@pytest.fixture(scope="module")
def alone(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study as one process trains it on one machine."""
    folder = copy(prepared, tmp_path_factory.mktemp("alone") / "study")
    ended(snakemake(folder, "--cores", "1", "--", TABLE), folder)
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table without times and memory."""
    with open(path, encoding="utf-8") as handle:
        found = [row for row in csv.DictReader(handle) if not MEASURED.search(row.get("metric") or "")]
    return [{key: value for key, value in row.items() if not MEASURED.search(key)} for row in found]


def equal(one: Path, other: Path, within: float) -> None:
    """Check that two tables or curves say the same, apart from times and memory, numbers up to `within`."""
    first, second = rows(one), rows(other)
    assert len(first) == len(second), one
    for own, their in zip(first, second, strict=True):
        assert own.keys() == their.keys()
        for key, value in own.items():
            if their[key] != value:
                assert float(their[key]) == pytest.approx(float(value), rel=0, abs=within), (one, key)


def the_same(disturbed: Path, alone: Path, within: float) -> None:
    """Check curves, finished points and tables against those of one process."""
    for name in (*METHODS, "source"):
        equal(alone / LAYOUT.curve(name, 0), disturbed / LAYOUT.curve(name, 0), within)
        one, two = (json.loads((f / LAYOUT.run_record(name, 0)).read_text()) for f in (alone, disturbed))
        kept = [{k: v for k, v in record["identity"].items() if k != "source"} for record in (one, two)]  # its bytes
        assert kept[0] == kept[1] and one["config_hash"] == two["config_hash"]
        for own, their in zip(one["points"], two["points"], strict=True):
            assert their["loss"] == pytest.approx(own["loss"], rel=0, abs=within)
            assert {k: their[k] for k in ("flops", "tokens", "steps") if k in own} == {
                k: own[k] for k in ("flops", "tokens", "steps") if k in own
            }
    tables = [path.name for path in (alone / LAYOUT.tables).glob("*.csv") if path.name != "provenance.csv"]
    assert "savings.csv" in tables
    for name in tables:
        equal(alone / LAYOUT.tables / name, disturbed / LAYOUT.tables / name, within)


def test_two_nodes_with_two_processes_have_the_losses_of_one(
    two: Node, prepared: Path, alone: Path, tmp_path: Path
) -> None:
    folder = copy(prepared, tmp_path / "study", nodes=2, processes=2)
    ended(snakemake(folder, *LITERAL, *QUICK, "--", TABLE), folder)
    jobs = submitted(two, folder, "pretrain") + submitted(two, folder, "source")
    assert {(job["NumNodes"], job["NumCPUs"], job["JobState"]) for job in jobs} == {("2", "4", "COMPLETED")}
    assert len(jobs) == 3
    record = json.loads((folder / LAYOUT.run_record("scratch", 0)).read_text())
    assert record["provenance"]["processes"] == 4 and record["provenance"]["threads"] == 1
    the_same(folder, alone, 1e-9)


def test_a_study_survives_a_lost_node(two: Node, prepared: Path, alone: Path, tmp_path: Path) -> None:
    folder = copy(prepared, tmp_path / "study", nodes=2, processes=1)
    process = snakemake(folder, *LITERAL, *QUICK, "--", TABLE)
    has_saved(two, folder)
    last = two.names[-1]
    two.lose(last)
    two.wait("the requeue", lambda: bool(waiting(two, folder)) and not running(two, folder))
    jobs = waiting(two, folder)
    two.begin(last)
    ended(process, folder)
    restarted = [job for job in submitted(two, folder) if job["Restarts"] != "0"]
    assert {job["JobId"] for job in restarted} == jobs and {job["JobState"] for job in restarted} == {"COMPLETED"}
    went_on(folder)
    the_same(folder, alone, 1e-6)


def test_a_requeued_job_goes_on_with_fewer_nodes(two: Node, prepared: Path, alone: Path, tmp_path: Path) -> None:
    folder = copy(prepared, tmp_path / "study", nodes=2, processes=1)
    process = snakemake(folder, *LITERAL, *QUICK, "--", RECORD)
    has_saved(two, folder)
    (job,) = running(two, folder)
    two.run("scontrol", "requeuehold", job)
    two.wait("the job to wait", lambda: waiting(two, folder) == {job})
    two.run("scontrol", "update", f"JobId={job}", "NumNodes=1", "NumTasks=1")
    two.run("scontrol", "release", job)
    ended(process, folder)
    assert [(job["NumNodes"], job["Restarts"]) for job in submitted(two, folder)] == [("1", "1")]
    went_on(folder)
    equal(alone / LAYOUT.curve("scratch", 0), folder / LAYOUT.curve("scratch", 0), 1e-9)


def test_the_log_names_a_slow_node(two: Node, prepared: Path, alone: Path, tmp_path: Path) -> None:
    folder = copy(prepared, tmp_path / "study", nodes=2, processes=1)
    process = snakemake(folder, *LITERAL, *QUICK, "--", RECORD)
    last, line = two.names[-1], r"process \d of 2, on node (\S+), takes [\d.]+ times as long as the others"
    two.wait("training", lambda: "initial loss" in told(folder))
    while not (named := re.search(line, told(folder))):
        assert process.poll() is None, told(folder)
        two.slow_down(last, 1.0)
    assert named[1] == last
    ended(process, folder)
    equal(alone / LAYOUT.curve("scratch", 0), folder / LAYOUT.curve("scratch", 0), 1e-9)


def has_saved(two: Node, folder: Path) -> None:
    """Wait until scratch has a checkpoint; it then trains for longer than this takes to notice."""
    two.wait("a checkpoint", (folder / LAYOUT.run("scratch", 0).state).exists, 600)


def went_on(folder: Path) -> None:
    """Check that scratch's last job resumed from a checkpoint."""
    found = re.search(r"resumes at step (\d+)", told(folder))
    assert found and int(found[1]) > 0, told(folder)


def running(two: Node, folder: Path) -> set[str]:
    """Return the jobs of a folder that run."""
    return {job["JobId"] for job in submitted(two, folder) if job["JobState"] == "RUNNING"}


def waiting(two: Node, folder: Path) -> set[str]:
    """Return the jobs of a folder that are to start again."""
    return {job["JobId"] for job in submitted(two, folder) if job["JobState"] == "PENDING" and job["Restarts"] != "0"}
