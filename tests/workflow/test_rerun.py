"""Real runs of a small study: after a change, the same command ends with the bytes of a fresh run, and trains no more than it must.

So it is in a clone, which has the records of a finished study and neither its models nor Snakemake's notes.
"""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from support import stubbed, workflow
from support.same_bytes import differences

from growbench import synthetic
from growbench.records.layout import Layout
from growbench.study.files import merged

pytestmark = pytest.mark.fuzz
LAYOUT = Layout("small")
JOBS = 8  # corpus, source and its fine-tuning, two methods and theirs, tables
TASK = Path("data/glue/MRPC/dev.tsv")
WANTED = str(LAYOUT.tables / "runs.csv")
SMALL: dict[str, Any] = {
    "extends": "demo.yaml", "study": "small", "seeds": [0], "attention": False, "data": {"dir": "data"},
    "corpus": {
        "source": "local", "train": "*.txt", "documents": "line", "valid_fraction": 0.1, "max_tokens": 30_000,
        "tokenizer": "wordpiece",
    },
    "source": {"layers": 2, "hidden": 16, "heads": 2, "ffn": 32, "steps": 20},
    "target": {"layers": 2, "hidden": 32, "heads": 4, "ffn": 64}, "budget": {"steps": 30, "points": [1.0], "total": False},
    "optimizer": {"batch": 8, "warmup": 1}, "train": {"eval_sequences": 32}, "methods": {"scratch": None, "direct_copy": None},
    "tasks": {"source": "local", "names": ["MRPC"]},
    "finetune": {"most_cut": 1.0},  # another tokenizer cuts most rows
}  # fmt: skip


def run(tree: Path) -> set[str]:
    """Run the study to its tables; return the jobs."""
    done = stubbed.run(tree, "small", WANTED, "--cores", "2")
    assert done.returncode == 0, done.stderr
    return stubbed.jobs(done)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that has not run."""
    tree = workflow.copy(tmp_path_factory.mktemp("fresh"))
    stubbed.write(tree, "small", SMALL)
    lines = [document.replace("\n", " ") for document in islice(synthetic.documents(0), 600)]
    (tree / TASK).parent.mkdir(parents=True)
    (tree / "data/a.txt").write_text("\n".join(lines), encoding="utf-8")
    pairs = [line.partition(" . ")[::2] for line in lines[:96]]
    rows = [f"{number % 2}\t1\t2\t{one} .\t{other[:40]}" for number, (one, other) in enumerate(pairs)]
    head = "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"
    for path, chosen in ((tree / TASK, rows[:32]), (tree / TASK.with_name("train.tsv"), rows[32:])):
        path.write_text("\n".join([head, *chosen, ""]), encoding="utf-8")
    return tree


@pytest.fixture(scope="module")
def finished(fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after its run."""
    tree = tmp_path_factory.mktemp("finished") / "tree"
    shutil.copytree(fresh, tree)
    assert len(run(tree)) == JOBS
    return tree


def method(tree: Path) -> None:
    path = tree / "src/growbench/methods/direct_copy.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace("        return widen(", "        rng.random()\n        return widen("), encoding="utf-8"
    )
    assert path.read_text(encoding="utf-8") != text


def text(tree: Path) -> None:
    path = tree / "data/a.txt"
    path.write_text("a first line\n" + path.read_text(encoding="utf-8"), encoding="utf-8")


def task(tree: Path) -> None:
    lines = (tree / TASK).read_text(encoding="utf-8").splitlines(keepends=True)
    (tree / TASK).write_text("".join(lines[:-3]), encoding="utf-8")


def config(**changes: Any) -> Callable[[Path], None]:
    """Return a change of the config's sections."""
    return lambda tree: stubbed.write(tree, "small", merged(SMALL, changes))


RUNS = {f"{step} {name}" for step in ("pretrain", "finetune") for name in SMALL["methods"]}
GROWN = {"pretrain direct_copy", "finetune direct_copy", "aggregate"}
TRAINED = RUNS | {"source", "finetune_source", "aggregate"}
TUNED = {"finetune scratch", "finetune direct_copy", "finetune_source", "aggregate"}
CHANGES: dict[str, tuple[Callable[[Path], None], set[str]]] = {
    "method": (method, GROWN),
    "options": (config(methods={"direct_copy": {"lr": 2e-3}}), GROWN),
    "text": (text, TRAINED | {"corpus"}),
    "tokenizer": (config(corpus={"tokenizer": "bpe"}), TRAINED | {"corpus"}),
    "source": (config(source={"steps": 25}), TRAINED),
    "seed": (config(seeds=[1]), TRAINED),
    "precision": (config(train={"precision": "bf16"}), TRAINED),
    "task": (task, TUNED),
    "epochs": (config(finetune={"epochs": 2.0}), TUNED),
    "max_length": (config(finetune={"max_length": 40}), TRAINED),
}
IN_CI = ("method", "text", "task")  # code, corpus and tasks; `make test-fuzz-all` changes the rest too


@pytest.mark.parametrize("case", [pytest.param(n, marks=() if n in IN_CI else pytest.mark.long) for n in CHANGES])
def test_after_a_change_the_same_command_gives_the_bytes_of_a_fresh_run(
    fresh: Path, finished: Path, tmp_path: Path, case: str
) -> None:
    change, expected = CHANGES[case]
    before, after = tmp_path / "before", tmp_path / "after"
    for origin, tree in ((fresh, before), (finished, after)):
        shutil.copytree(origin, tree)
        change(tree)
    run(before)
    assert run(after) == expected
    for path in [path for path in (after / LAYOUT.root).rglob("*-s0*") if case == "seed"]:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)  # a seed less: they stay, unused
    assert differences(after / LAYOUT.root, before / LAYOUT.root) == []
    assert differences(after / LAYOUT.root, finished / LAYOUT.root), "the change changes something"


@pytest.mark.long
def test_after_other_search_keys_the_same_command_gives_the_bytes_of_a_fresh_run(
    fresh: Path, finished: Path, tmp_path: Path
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    searches = {f"search {name}" for name in SMALL["methods"]} | {"search_source"}
    for origin, tree in ((fresh, before), (finished, after)):
        shutil.copytree(origin, tree)
    for share in (0.4, 0.6):
        config(search={"lrs": [1e-3, 2e-3], "share": share})(after)
        assert run(after) >= searches | {"aggregate"}
    config(search={"lrs": [1e-3, 2e-3], "share": 0.6})(before)
    run(before)
    assert differences(after / LAYOUT.root, before / LAYOUT.root) == []


def comment(tree: Path) -> None:
    path = tree / "src/growbench/methods/direct_copy.py"
    path.write_text(path.read_text(encoding="utf-8") + "\n# said better\n", encoding="utf-8")


def unread(tree: Path) -> None:
    (tree / "data/notes.md").write_text("of no study", encoding="utf-8")
    (tree / TASK).with_name("test.tsv").write_text("unread", encoding="utf-8")


def later(tree: Path) -> None:
    for path in [*tree.glob("data/**/*"), *tree.glob("src/**/*.py"), *tree.glob("config/*")]:
        os.utime(path)


IRRELEVANT = {
    "comment": comment,
    "files that nothing reads": unread,
    "times": later,
    "threads": config(train={"threads": 1, "checkpoint_seconds": 7.0}),
    "a key of the search, without a search": config(search={"share": 0.3}),
}


@pytest.mark.parametrize("case", IRRELEVANT)
def test_after_a_change_of_what_does_not_matter_no_step_is_run_again(finished: Path, tmp_path: Path, case: str) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(finished, tree)
    IRRELEVANT[case](tree)
    assert run(tree) <= {"aggregate"}
    assert differences(tree / LAYOUT.root, finished / LAYOUT.root) == []


def test_a_job_that_runs_again_without_a_change_trains_nothing_and_writes_the_same_bytes(
    finished: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(finished, tree)
    assert not stubbed.planned(tree, "small", WANTED)
    done = stubbed.run(tree, "small", WANTED, "--cores", "2", "--forcerun", "corpus")
    assert done.returncode == 0 and len(stubbed.jobs(done)) == JOBS, done.stderr
    assert differences(tree / LAYOUT.root, finished / LAYOUT.root) == []
    logs = "".join(path.read_text(encoding="utf-8") for path in tree.glob("logs/small/pretrain/*.log"))
    assert logs.count(": nothing is trained") == 3 and "loss" not in logs, logs


def clone(tree: Path, folder: Path) -> Path:
    """Copy what a repository holds of a finished study: config, code and records, with times in no order; the data comes later."""
    shutil.copytree(tree, folder, ignore=shutil.ignore_patterns(".snakemake", "logs", "benchmarks", ".lock", ".*.lock"))
    for unkept in ("runs", "corpus", "tables"):
        shutil.rmtree(folder / LAYOUT.root / unkept)
    for number, path in enumerate(sorted((folder / LAYOUT.records).rglob("*.*"), reverse=True)):
        os.utime(path, (1e9 + number % 3, 1e9 + number % 3))
    return folder


NEW = "from growbench.methods.zero_pad import ZeroPad\n\n\nclass Mine(ZeroPad):\n    title = 'Mine'\n\n\nMETHOD = Mine()\n"
ADDED = merged(SMALL, {"methods": {"mine": None}})


def test_in_a_clone_a_new_method_trains_itself_and_its_source_and_nothing_else(finished: Path, tmp_path: Path) -> None:
    tree = clone(finished, tmp_path / "clone")
    assert stubbed.planned(tree, "small", WANTED) == {"aggregate"}
    (tree / "src/growbench/methods/mine.py").write_text(NEW, encoding="utf-8")
    stubbed.write(tree, "small", ADDED)
    assert run(tree) == {"corpus", "restore source", "pretrain mine", "finetune mine", "aggregate"}
    assert differences(tree / LAYOUT.records, finished / LAYOUT.records) == [
        f"{kind}/mine-s0{ending}: only in {tree / LAYOUT.records}"
        for kind, ending in (
            ("finetune", "-p100.json"), ("pretrain", ".csv"), ("pretrain", ".documents.csv"), ("pretrain", ".json"),
        )
    ]  # fmt: skip
    made = json.loads((tree / LAYOUT.run_record("mine", 0)).read_bytes())
    assert "source_restored" not in made, "the source is the record's to the last bit"
    restored = json.loads((tree / LAYOUT.run("source", 0).restored).read_bytes())
    assert all(point["loss"] == point["recorded_loss"] for point in restored["points"])
    assert not stubbed.planned(tree, "small", WANTED)


def test_in_a_clone_a_record_of_other_code_is_made_again(finished: Path, tmp_path: Path) -> None:
    tree = clone(finished, tmp_path / "clone")
    method(tree)
    assert stubbed.planned(tree, "small", WANTED) == GROWN | {"corpus", "restore source"}


def test_in_a_clone_a_record_that_was_changed_by_hand_ends_the_run(finished: Path, tmp_path: Path) -> None:
    tree = clone(finished, tmp_path / "clone")
    path = tree / LAYOUT.run_record("scratch", 0)
    values = json.loads(path.read_bytes())
    values["points"][0]["loss"] += 0.001
    path.write_text(json.dumps(values, indent=1), encoding="utf-8")
    done = stubbed.run(tree, "small", WANTED, "-n")
    assert done.returncode == 2 and f"{LAYOUT.run_record('scratch', 0)}: changed after it was written" in done.stderr


def test_a_second_snakemake_on_the_same_study_is_refused_before_its_first_job(fresh: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(fresh, tree)
    words = [str(LAYOUT.corpus_manifest), "--cores", "1", "--configfile", "config/small.yaml"]
    first = subprocess.Popen(workflow.command(*words), cwd=tree, stderr=subprocess.PIPE, text=True)
    while not any(lock.stat().st_size for lock in tree.glob(".snakemake/locks/*.output.lock")):
        assert first.poll() is None
    first.send_signal(signal.SIGSTOP)  # so that it is not done, and its locks gone, before the second has read them
    try:
        second = stubbed.run(tree, "small", WANTED, "--cores", "1")
    finally:
        first.send_signal(signal.SIGCONT)
    assert second.returncode and "cannot be locked" in second.stderr and not stubbed.jobs(second)
    assert first.wait() == 0, first.communicate()
