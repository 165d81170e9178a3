"""End `growbench grow` and a run before any of their file operations; the same command then ends with the undisturbed bytes."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from support.same_bytes import differences

from fuzz import child, small_study
from fuzz.kill_points import killing

pytestmark = pytest.mark.fuzz
GROW = ["grow", "source", "out/grown", "--method", "lemon", "--layers", "4", "--hidden", "32"]
TIMES = ("seconds", "memory", "wall_seconds", "peak_memory_mb", "date")
SHORT = {"steps": 10, "points": [0.6, 1.0]}


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    child.warm()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the corpus of the small study, the same for every budget and search."""
    folder = tmp_path_factory.mktemp("corpus")
    done = child.run(["corpus", *small_study.write(folder)], folder, 600)
    assert done.status == 0, done.err
    return folder


def operations(words: list[str], folder: Path, below: str) -> int:
    """Run a command undisturbed and return how many operations on files it does below a folder."""
    log = folder / "operations.log"
    done = child.run(words, folder, before=killing(folder / below, None, log))
    assert done.status == 0, done.err
    return len(log.read_text().splitlines())


def endings(words: list[str], below: str, prepared: Path, folder: Path, count: int) -> Iterator[tuple[int, Path]]:
    """End the command at each of its operations in a copy of a prepared folder, run it again, and yield the copy."""
    for number in range(1, count + 1):
        copy = folder / str(number)
        shutil.copytree(prepared, copy, symlinks=True)
        (copy / below).mkdir(parents=True, exist_ok=True)
        killed = child.run(words, copy, before=killing(copy / below, number))
        assert killed.status == child.KILLED, (number, killed)
        again = child.run(words, copy)
        assert again.status == 0 or again.clean, (number, again)
        yield number, copy
        shutil.rmtree(copy)


def source(folder: Path) -> None:
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=16,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(folder / "source")


def test_grow_survives_an_end_at_every_operation(tmp_path: Path) -> None:
    prepared, whole = tmp_path / "prepared", tmp_path / "whole"
    source(prepared)
    (prepared / "out").mkdir()
    shutil.copytree(prepared, whole)
    count = operations(GROW, whole, "out")
    assert count >= 8
    for number, copy in endings(GROW, "out", prepared, tmp_path, count):
        assert _grown(copy) == _grown(whole), number


def _grown(folder: Path) -> dict[str, object]:
    """What lies beside and in OUT_DIR: bytes by name, the report and the card without time and memory."""
    read = {"growth.json": _report, "README.md": _card}
    files = [path for path in sorted((folder / "out").rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): read.get(path.name, Path.read_bytes)(path) for path in files}


def _card(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if not line.startswith("- Cost: ")]


def _report(path: Path) -> object:
    return {key: value for key, value in json.loads(path.read_text()).items() if key not in TIMES}


@pytest.mark.parametrize("method", ["scratch", "zero_pad"])
def test_a_run_survives_an_end_at_every_operation(corpus: Path, tmp_path: Path, method: str) -> None:
    prepared, whole = tmp_path / "prepared", tmp_path / "whole"
    shutil.copytree(corpus, prepared)
    named = small_study.write(prepared, source={"steps": 10}, budget=SHORT)
    done = child.run(["pretrain", *named, "--method", "source", "--seed", "0"], prepared)
    assert done.status == 0, done.err
    words = ["pretrain", *named, "--method", method, "--seed", "0"]
    shutil.copytree(prepared, whole)
    count = operations(words, whole, "results")
    assert count >= 30
    for number, copy in endings(words, "results", prepared, tmp_path, count):
        assert differences(copy / "results", whole / "results") == [], number


CHANGED = "optimizer.clip=0.5"


@pytest.mark.parametrize("what", ["changed", "lost"])
def test_a_run_that_starts_over_survives_an_end_at_every_operation(corpus: Path, tmp_path: Path, what: str) -> None:
    """The config changed after the run was finished, or its first finished point is lost."""
    prepared, whole = tmp_path / "prepared", tmp_path / "whole"
    shutil.copytree(corpus, prepared)
    words = ["pretrain", *small_study.write(prepared, budget=SHORT), "--method", "scratch", "--seed", "0"]
    done = child.run(words, prepared)
    assert done.status == 0, done.err
    if what == "changed":
        words += ["--set", CHANGED]
    else:
        shutil.rmtree(next(prepared.glob("results/*/runs/*/points/p60")))
    shutil.copytree(prepared, whole)
    count = operations(words, whole, "results")
    assert count >= 40
    for number, copy in endings(words, "results", prepared, tmp_path, count):
        assert differences(copy / "results", whole / "results") == [], number


@pytest.mark.long
def test_a_search_survives_an_end_at_every_operation(corpus: Path, tmp_path: Path) -> None:
    """It starts at its best learning rate, so that three trials end it: one in each direction."""
    prepared, whole = tmp_path / "prepared", tmp_path / "whole"
    shutil.copytree(corpus, prepared)
    named = small_study.write(prepared, budget=SHORT, search={"lrs": [1.6e-2], "share": 0.5})
    words = ["search", *named, "--method", "scratch"]
    shutil.copytree(prepared, whole)
    count = operations(words, whole, "results")
    assert count >= 30
    for number, copy in endings(words, "results", prepared, tmp_path, count):
        assert differences(copy / "results", whole / "results") == [], number
