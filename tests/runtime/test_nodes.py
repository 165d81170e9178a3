"""Processes on several nodes. A stand-in for srun starts the command twice here; tests/workflow/test_slurm_nodes.py has the real one."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.tiny import ROOT, SMALL, corpus

from growbench.errors import GrowBenchError
from growbench.pipeline.pretrain import run as pretrain
from growbench.records.layout import Layout
from growbench.runtime import interrupt, launch, nodes
from growbench.study import config, files

SRUN = """#!/bin/sh
echo "$*" >>asked.txt
while [ "$1" != "${1#--}" ]; do shift; done
for node in 0 1; do SLURM_NODEID=$node SLURM_LAUNCH_NODE_IPADDR=127.0.0.1 "$@" & agents="$agents $!"; done
trap 'kill -INT $agents' INT
status=0
for agent in $agents; do wait $agent || status=$?; done
exit $status
"""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a SLURM job of two nodes whose srun is the stand-in."""
    (tmp_path / "srun").write_text(SRUN)
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("granted", "wanted", "here"),
    [({}, 2, True), ({"SLURM_JOB_ID": "1", "SLURM_JOB_NUM_NODES": "1"}, 2, True), ({"SLURM_JOB_ID": "1"}, 1, True),
     ({"SLURM_JOB_ID": "1"}, 2, False), ({"SLURM_JOB_ID": "1", "SLURM_JOB_NUM_NODES": "2"}, 2, False)],
)  # fmt: skip
def test_all_processes_start_here_without_several_nodes(
    granted: dict[str, str], wanted: int, here: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no squeue
    for name in ("SLURM_JOB_ID", "SLURM_JOB_NUM_NODES", nodes.STORE):
        monkeypatch.delenv(name, raising=False)
    for name, value in granted.items():
        monkeypatch.setenv(name, value)
    started: list[Any] = []
    monkeypatch.setattr(launch, "run", lambda count, words: started.append(count))
    monkeypatch.setattr(nodes, "_lead", lambda *given: started.append("srun"))
    nodes.run(wanted, 4, 1, ["pretrain"])
    assert started == ([4 * wanted] if here else ["srun"])


def test_the_cause_comes_before_what_followed_from_it() -> None:
    killed, broken = launch.Lost("process 1 of 4 was killed by SIGKILL"), GrowBenchError("a.bin: no space")
    stopped, followed = interrupt.Stopped(signal.SIGTERM), GrowBenchError(launch.LOST)
    given = [nodes._noted(error) for error in (followed, stopped, broken, killed)]
    for count, cause in ((4, killed), (3, broken), (2, stopped), (1, followed)):
        first = nodes._raised(min(given[:count], key=lambda fault: nodes.ORDER.index(fault["kind"])))
        assert type(first) is type(cause) and str(first) == str(cause)


def test_only_a_killed_process_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def step(count: int, cpus: int, words: Any) -> None:
        tried.append(cpus)
        if len(tried) < 3:
            raise launch.Lost("process 1 of 4 was killed by SIGKILL; run the same command to resume")
        raise GrowBenchError("a.bin: no space")

    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    monkeypatch.setattr(nodes, "_step", step)
    with pytest.raises(GrowBenchError, match="no space"):
        nodes._lead(2, 2, 4, ["pretrain"])
    assert tried == [8, 8, 8]
    monkeypatch.setattr(nodes, "_step", lambda *given: (_ for _ in ()).throw(launch.Lost("killed")))
    with pytest.raises(launch.Lost):
        nodes._lead(2, 2, 4, ["pretrain"])


def test_a_job_asks_slurm_for_its_nodes(job: Path) -> None:
    (job / "squeue").write_text("#!/bin/sh\necho $* >>asked.txt\necho 1\n")
    (job / "squeue").chmod(0o755)
    assert nodes._allocated(3) == 1
    assert (job / "asked.txt").read_text() == "--noheader --format=%D --jobs=1\n"
    (job / "squeue").write_text("#!/bin/sh\nexit 1\n")
    assert nodes._allocated(3) == 3


def test_fewer_nodes_start_the_same_processes(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    led: list[Any] = []
    monkeypatch.setattr(nodes, "_lead", lambda *given: led.append(given))
    monkeypatch.setenv("SLURM_JOB_NUM_NODES", "2")
    for wanted, processes in ((4, 3), (2, 3), (1, 3)):
        monkeypatch.setattr(launch, "run", lambda count, words: led.append(count))
        nodes.run(wanted, processes, 1, ["pretrain"])
    assert led == [(2, 3, 1, ["pretrain"]), (2, 3, 1, ["pretrain"]), 3]
    taken: list[Any] = []
    monkeypatch.setattr(nodes, "_take_part", lambda *given: taken.append(given))
    monkeypatch.setenv(nodes.STORE, "1")
    monkeypatch.setenv("SLURM_STEP_NUM_NODES", "2")
    nodes.run(4, 3, 1, ["pretrain"])
    assert taken == [(2, 6, ["pretrain"])]
    with pytest.raises(
        GrowBenchError, match=r"train\.nodes: 3 x train\.processes 1 do not split evenly over the 2 nodes"
    ):
        nodes.run(3, 1, 1, ["pretrain"])


def test_srun_s_own_failure_is_one_line(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (job / "srun").write_text("#!/bin/sh\nexit 7\n")
    with pytest.raises(GrowBenchError, match=r"train\.nodes: srun ended with status 7"):
        nodes._step(2, 1, ["pretrain"])
    (job / "srun").unlink()
    monkeypatch.setenv("PATH", str(job))
    with pytest.raises(GrowBenchError, match="there is no srun"):
        nodes._step(2, 1, ["pretrain"])


@pytest.mark.slow
def test_two_agents_train_the_model_that_one_process_does(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = files.merged(files.read(ROOT / "config/demo.yaml"), SMALL) | {"methods": {"scratch": None}}
    values["train"] |= {"nodes": 2, "precision": "float64"}
    values["data"]["repeat"] = True
    (job / "tiny.yaml").write_text(json.dumps(values))
    words, layout = ("--config", "../tiny.yaml", "--method", "scratch", "--seed", "0"), Layout("tiny")
    for name in ("one", "two"):
        corpus(job / name / layout.corpus)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "growbench", "pretrain", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, cwd=job / "two")
    assert done.returncode == 0, done.stderr[-4000:]
    asked = (job / "two/asked.txt").read_text()
    assert "--nodes=2 --ntasks=2 --ntasks-per-node=1 --cpus-per-task=1" in asked and asked.count("pretrain") == 1
    monkeypatch.chdir(job / "one")
    pretrain.run(config.gather(["../tiny.yaml"], ["train.nodes=1"]), "scratch", 0)
    one, two = (json.loads((job / name / layout.run_record("scratch", 0)).read_text()) for name in ("one", "two"))
    assert one["identity"] == two["identity"]
    assert two["provenance"]["processes"] == 2 and one["provenance"]["processes"] == 1
    first, second = ([point["loss"] for point in record["points"]] for record in (one, two))
    assert second == pytest.approx(first, rel=0, abs=1e-9) and len(first) == 3
