"""Locks: who holds one is told, a dead holder is no obstacle, and nothing outside the folder is touched."""

import errno
import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support.tiny import tiny, weights

from growbench.errors import GrowBenchError
from growbench.pipeline.pretrain import run as pretrain
from growbench.records.layout import Layout
from growbench.runtime import lock
from growbench.study.study import Study

RUN = Layout("tiny").run("stackbert", 0)
HOLDER = """
import sys, time
from pathlib import Path
from growbench.runtime import lock
with lock.held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.chdir(tmp_path)
    return tiny(tmp_path)


@pytest.fixture
def holder(tmp_path: Path):
    """Another process that holds the lock of the tiny study's stackbert run."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path / RUN.lock], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_run_that_another_process_holds_is_refused_and_a_dead_holder_is_no_obstacle(
    study, holder, monkeypatch
) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 0.0)
    where = rf"stackbert-s0: in use by process {holder.pid} on {socket.gethostname()}, since \d.* UTC; wait until"
    with pytest.raises(GrowBenchError, match=where):
        pretrain.run(study, "stackbert", 0)
    assert not RUN.state.exists() and RUN.lock.exists()
    holder.kill()
    holder.wait()
    pretrain.run(study, "stackbert", 0)
    assert weights("stackbert") and not RUN.lock.exists()


def test_a_lock_waits_for_a_holder_that_is_about_to_end(study, holder, monkeypatch) -> None:
    monkeypatch.setattr(lock.log, "info", lambda *words: (holder.kill(), holder.wait()))
    with lock.held(RUN.lock):
        assert json.loads(RUN.lock.read_text())["pid"] == os.getpid()


def test_another_node_s_holder_is_named(tmp_path, caplog, monkeypatch) -> None:
    path = tmp_path / ".lock"
    path.write_text(json.dumps({"host": "node7", "pid": 12, "began": "then", "job": "345"}))
    with caplog.at_level(logging.WARNING), lock.held(path):
        assert "process 12 (SLURM job 345) on node7, since then left its lock behind" in caplog.text


def test_a_symbolic_link_in_the_lock_s_place_is_refused_and_its_target_untouched(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / ".lock"
    victim.write_text("precious")
    path.symlink_to(victim)
    with pytest.raises(GrowBenchError, match=r"\.lock: Too many levels of symbolic links"), lock.held(path):
        raise AssertionError("held")
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("number", lock.NO_LOCKS)
def test_a_file_system_without_locks_is_one_warning(number: int, tmp_path: Path, caplog, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    with caplog.at_level(logging.WARNING), lock.held(tmp_path / ".lock"):
        assert "this file system has no locks" in caplog.text
    assert not (tmp_path / ".lock").exists()


def test_another_fault_of_the_file_system_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(GrowBenchError, match=os.strerror(errno.ENOTDIR)), lock.held(tmp_path / "file/.lock"):
        raise AssertionError("held")
