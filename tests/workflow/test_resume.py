"""Resuming after snakemake was killed, on one machine; test_slurm.py does the same under SLURM."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.workflow import snakemake

from growbench.records.layout import Layout

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
        (None, ["--profile", "slurm"], "resume: squeue: "),
    ],
    ids=["another machine", "no SLURM"],
)
def test_resume_refuses_what_it_cannot_see(tmp_path: Path, note: str | None, words: list[str], line: str) -> None:
    (tmp_path / "Snakefile").touch()
    (tmp_path / ".snakemake/runs").mkdir(parents=True)
    if note:
        (tmp_path / ".snakemake/runs" / note).touch()
    script = Path(__file__).resolve().parents[2] / "workflow/resume.py"
    done = subprocess.run(
        [sys.executable, str(script), *words],
        cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1 and done.stderr.startswith(line) and done.stderr.count("\n") == 1
