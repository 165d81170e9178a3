"""Resuming after snakemake was killed, on one machine; test_slurm.py does the same under SLURM."""

import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.workflow import ROOT, snakemake

from growbench.records.layout import Layout

SCRIPT = ROOT / "workflow/resume.py"
TARGET = str(Layout("demo").corpus_manifest)
STUB = """
import sys, time
from pathlib import Path

if sys.argv[1] != "check":
    told = open("told.txt", "a")
    print("began", file=told, flush=True)
    while Path("wait").exists():
        time.sleep(0.1)
    for path in ("results/demo/corpus/manifest.json", "results/demo/tasks/manifest.json"):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text("{}")
    print("ended", file=told, flush=True)
"""


def resume(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "workflow/resume.py", *words]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=120)


def wait(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.slow
def test_what_a_killed_snakemake_left_running_is_stopped_before_its_work_is_repeated(tree: Path) -> None:
    (tree / "src/growbench/__main__.py").write_text(STUB, encoding="utf-8")
    (tree / "wait").touch()
    told = tree / "told.txt"
    words = ("--cores", "1", "--", TARGET)
    first = subprocess.Popen([sys.executable, "-m", "snakemake", *words], cwd=tree, stderr=subprocess.DEVNULL)
    wait(lambda: told.exists() and "began" in told.read_text())
    refused = resume(tree, *words)
    assert refused.returncode == 1 and refused.stderr == (
        f"resume: snakemake is still running here, process {first.pid}; let it finish, or stop it first: kill -INT {first.pid}\n"
    )
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert "cannot be locked" in snakemake(tree, *words).stderr
    second = subprocess.Popen(
        [sys.executable, "workflow/resume.py", *words], cwd=tree, stderr=subprocess.PIPE, text=True
    )
    wait(lambda: told.read_text().count("began") == 2)
    (tree / "wait").unlink()
    said = second.communicate(timeout=60)[1]
    assert second.returncode == 0 and "resume: stopping processes " in said, said
    assert told.read_text().split() == ["began", "began", "ended"]
    assert not list((tree / ".snakemake/runs").iterdir())


@pytest.mark.parametrize(
    ("note", "words", "line"),
    [
        (
            "elsewhere-12",
            ["--cores", "1"],
            "resume: .snakemake/runs/elsewhere-12: snakemake ran on elsewhere, process 12;",
        ),
        ("notes.txt", ["--cores", "1"], "resume: .snakemake/runs/notes.txt: not made by snakemake; remove the file"),
        (None, ["--profile", "slurm"], "resume: squeue: "),
        (None, ["--executor=slurm"], "resume: squeue: "),
    ],
    ids=["another machine", "a foreign file", "no SLURM", "no SLURM, by executor"],
)
def test_resume_refuses_what_it_cannot_see(tmp_path: Path, note: str | None, words: list[str], line: str) -> None:
    (tmp_path / "Snakefile").touch()
    (tmp_path / ".snakemake/runs").mkdir(parents=True)
    if note:
        (tmp_path / ".snakemake/runs" / note).touch()
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words],
        cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.startswith(line) and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--cores", "1", "--configfile", "config/slurm-test.yaml"], False),
        (["--configfile=slurm/study.yaml"], False),
        (["--profile", "slurm"], True),
        (["--profile=/site/slurm"], True),
        (["-e", "slurm"], True),
        (["--executor", "local"], False),
    ],
)
def test_slurm_is_told_by_profile_and_executor_alone(words: list[str], expected: bool) -> None:
    assert runpy.run_path(str(SCRIPT))["on_slurm"](words) is expected


def test_jobs_are_found_whatever_their_folder_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a|b 'c"
    folder.mkdir()
    monkeypatch.chdir(folder)
    squeue = tmp_path / "squeue"
    lines = [f"1|RUNNING|rule_pretrain|{folder}", f"2|COMPLETED|rule_pretrain|{folder}", f"3|RUNNING|other|{folder}"]
    lines.append(f"4|RUNNING|rule_pretrain|{tmp_path}")
    squeue.write_text("#!/bin/sh\ncat <<'END'\n" + "\n".join(lines) + "\nEND\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert runpy.run_path(str(SCRIPT))["submitted"](True) == ["1"]


def test_a_snakemake_of_another_folder_that_took_the_number_of_a_dead_one_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note of the dead one goes, and so does that of a number that no process can have."""
    runs = tmp_path / "here/.snakemake/runs"
    runs.mkdir(parents=True)
    code = "import sys, time; time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", code, "snakemake"], cwd=tmp_path)
    machine = os.uname().nodename
    for name in (f"{machine}-{other.pid}", f"{machine}-{10**30}", ".nfs01"):
        (runs / name).touch()
    monkeypatch.chdir(tmp_path / "here")
    runpy.run_path(str(SCRIPT))["check_dead"]()
    other.kill()
    other.wait()
    assert [path.name for path in runs.iterdir()] == [".nfs01"]
