"""A fine-tuning belongs to its model, tokenizer, task files and settings: what changes is done again, and nothing else."""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import downstream, tiny
from support.downstream import LAYOUT, POINT, study
from support.questions import words

from growbench.errors import GrowBenchError
from growbench.pipeline.finetune import run as finetune

RECORD = LAYOUT.finetune_record("scratch", 0, "p100")
SHORT = {"epochs": 1, "batch": 16}


def put(folder: Path, task: str, shift: int = 0) -> None:
    """Write a small CoLA or SST-2."""
    place = folder / "glue" / task
    place.mkdir(parents=True, exist_ok=True)
    for file, count in (("train.tsv", 24), ("dev.tsv", 8)):
        texts = [(" ".join("abcdefgh"[(i + j + shift) % 8] for j in range(3)), i % 2) for i in range(count)]
        if task == "CoLA":
            (place / file).write_text("".join(f"x\t{label}\t\t{text}\n" for text, label in texts))
        else:
            (place / file).write_text("sentence\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in texts))


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A finished record for SST-2; the list grows by the name of each task that is fine-tuned afterwards."""
    monkeypatch.chdir(tmp_path)
    downstream.save(words(), "bert")
    put(tmp_path, "SST-2")
    put(tmp_path, "CoLA")
    downstream.run(study(tmp_path, "SST-2", **SHORT))
    fitted, fit = [], finetune.fit

    def noting(begin: Any, task: Any, *more: Any) -> Any:
        fitted.append(task.task.name)
        return fit(begin, task, *more)

    monkeypatch.setattr(finetune, "fit", noting)
    return fitted


def without_times(values: dict[str, Any]) -> dict[str, Any]:
    runs = [{key: value for key, value in run.items() if key != "seconds"} for run in values["runs"]]
    return {key: value for key, value in values.items() if key not in ("digest", "provenance")} | {"runs": runs}


def mtime(folder: Path) -> None:
    os.utime(folder / "glue/SST-2/train.tsv", (1, 1))


def unread(folder: Path) -> None:
    (folder / "glue/SST-2/test.tsv").write_text("index\tsentence\n")
    put(folder, "CoLA", shift=1)


def record_removed(folder: Path) -> None:
    RECORD.unlink()  # as Snakemake does before it runs a job


@pytest.mark.parametrize("change", [mtime, unread, record_removed])
def test_nothing_is_fine_tuned_again_without_a_reason(
    tmp_path: Path, done: list[str], change: Callable[[Path], None]
) -> None:
    before = RECORD.read_bytes()
    change(tmp_path)
    after = downstream.run(study(tmp_path, "SST-2", **SHORT))
    assert done == []
    assert (
        RECORD.read_bytes() == before if change is not record_removed else after["runs"] == json.loads(before)["runs"]
    )


def task_file(folder: Path) -> dict[str, Any]:
    put(folder, "SST-2", shift=1)
    return {}


def tokenizer(folder: Path) -> dict[str, Any]:
    values = json.loads((LAYOUT.tokenizer / "tokenizer.json").read_text())
    values["normalizer"] = None
    (LAYOUT.tokenizer / "tokenizer.json").write_text(json.dumps(values))
    tiny.sign(LAYOUT.corpus, vocab=30)
    return {}


def model(folder: Path) -> dict[str, Any]:
    downstream.save(words(), "bert", layers=2)
    return {}


def max_length(folder: Path) -> dict[str, Any]:
    return {"max_length": 8}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (task_file, "the task files (dev.tsv, train.tsv) changed since; fine-tuning again"),
        (tokenizer, "the corpus changed since; fine-tuning again"),
        (model, "the model changed since; fine-tuning again"),
        (max_length, "(max_length: 16, now 8) changed since; fine-tuning again"),
    ],
)
def test_a_change_gives_the_record_of_a_fresh_study(
    tmp_path: Path, done: list[str], change: Callable[[Path], dict[str, Any]], said: str, caplog: Any
) -> None:
    before = without_times(json.loads(RECORD.read_text()))
    made = study(tmp_path, "SST-2", **SHORT, **change(tmp_path))
    with caplog.at_level(logging.INFO):
        changed = downstream.run(made)
    assert done == ["SST-2"] and said in caplog.text and f"{RECORD}: " in caplog.text
    LAYOUT.finetune_record("scratch", 0, "p100").unlink()
    for path in LAYOUT.run("scratch", 0).finetuned("p100").iterdir():
        path.unlink()
    fresh = downstream.run(made)
    assert without_times(changed) == without_times(fresh) != before


def test_a_new_task_or_seed_costs_its_own_fine_tunings_only(tmp_path: Path, done: list[str]) -> None:
    found = downstream.run(study(tmp_path, "SST-2", "CoLA", **{**SHORT, "seeds": [0, 1]}))
    assert sorted(done) == ["CoLA", "CoLA", "SST-2"] and len(found["runs"]) == 4


def test_the_record_names_what_it_was_made_from(tmp_path: Path, done: list[str]) -> None:
    from growbench.runtime import durable

    found = json.loads(RECORD.read_text())["made_from"]
    files = {name: durable.digest(tmp_path / "glue/SST-2" / name) for name in ("train.tsv", "dev.tsv")}
    assert found["tasks"] == {"SST-2": files} and found["precision"] == "float32"
    assert found["model"] == durable.digest(POINT / "model.safetensors")


def test_a_tokenizer_that_is_not_the_corpus_s_is_refused(tmp_path: Path, done: list[str]) -> None:
    (LAYOUT.tokenizer / "tokenizer_config.json").write_text("{}")
    with pytest.raises(GrowBenchError, match=r"tokenizer_config.json: its SHA-256 does not match"):
        downstream.run(study(tmp_path, "SST-2", **SHORT))
