"""The workflow's jobs in a warm process: the bytes of jobs in processes of their own."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support import stubbed, workflow
from support.same_bytes import differences

from growbench.records.layout import Layout
from growbench.runtime import warm

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="warm processes are for Linux")]
LAYOUT = Layout("small")
SMALL: dict[str, Any] = {
    "extends": "demo.yaml", "study": "small", "seeds": [0], "corpus": {"max_tokens": 30_000},
    "source": {"layers": 2, "hidden": 16, "heads": 2, "ffn": 32, "steps": 20},
    "target": {"layers": 2, "hidden": 32, "heads": 4, "ffn": 64}, "budget": {"steps": 30, "points": [1.0], "total": False},
    "optimizer": {"batch": 8, "warmup": 1}, "train": {"eval_sequences": 32, "threads": 2}, "methods": {"scratch": None, "direct_copy": None},
    "tasks": {"names": ["paraphrase"]}, "data": {"repeat": True},
}  # fmt: skip
WANTED = str(LAYOUT.finetune_record("direct_copy", 0, "p100"))
JOBS = [("finetune", "1"), ("pretrain", "2"), ("pretrain", "2")]  # with their threads; the source is a pre-training job
NOTE = """
import atexit, json, os, sys

def note():
    with open(os.environ["NOTES"], "a") as handle:
        handle.write(json.dumps([sys.orig_argv[2:], sys.argv[1:], os.environ.get("OMP_NUM_THREADS")]) + "\\n")

atexit.register(note)
"""


def run(folder: Path, **environment: str) -> tuple[Path, list[tuple[str, str, str]]]:
    """Run the study; return its results and, for each job, the module that its process was started with, verb, threads."""
    tree = workflow.copy(folder / "tree")
    stubbed.write(tree, "small", SMALL)
    (folder / "site").mkdir()
    (folder / "site/sitecustomize.py").write_text(NOTE, encoding="utf-8")
    environment |= {"PYTHONPATH": str(folder / "site"), "NOTES": str(folder / "notes")}
    words = (WANTED, "--cores", "2", "--configfile", "config/small.yaml")
    done = workflow.snakemake(tree, *words, **environment)
    assert done.returncode == 0, done.stderr
    notes = [json.loads(line) for line in (folder / "notes").read_text(encoding="utf-8").splitlines()]
    return tree / LAYOUT.root, [(own[0], words[0], threads) for own, words, threads in notes if words[:1] and own]


def works_below(process: Path, folder: Path) -> bool:
    """Whether a process, by its folder in /proc, works in a folder or below it."""
    try:
        return (process / "cwd").resolve(strict=True).is_relative_to(folder)
    except OSError:
        return False


def test_a_study_has_the_same_bytes_with_a_warm_process(tmp_path: Path) -> None:
    """On two threads in pre-training and one in fine-tuning. Every job that imports torch is one of the warm process."""
    for name in ("own", "warm"):
        (tmp_path / name).mkdir()
    own, apart = run(tmp_path / "own", **{warm.OFFER: warm.NO})
    warmed, jobs = run(tmp_path / "warm")
    assert not [module for module, *_ in apart if "warm" in module]
    taken = [(verb, threads) for module, verb, threads in jobs if module == warm.__name__ and verb in warm.VERBS]
    assert sorted(taken) == JOBS
    assert differences(own, warmed) == []
    until = time.monotonic() + 60
    while left := [place for place in Path("/proc").glob("[0-9]*") if works_below(place, tmp_path)]:
        assert time.monotonic() < until, left
        time.sleep(0.1)


def test_the_libraries_start_no_thread() -> None:
    """A fork has only the thread that forks."""
    code = f"import os, {', '.join(warm.LIBRARIES)}; print(len(os.listdir('/proc/self/task')))"
    one = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=one, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
