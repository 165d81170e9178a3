"""Records that do not fit the study, its config or one another."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from support import constructed
from support.aggregated import edit

from growbench.errors import GrowBenchError
from growbench.pipeline.aggregate import run as aggregate
from growbench.study.study import Study


def test_records_of_other_methods_and_seeds_are_not_read(made: tuple[Study, Path]) -> None:
    study, records = made
    (records / "pretrain" / "old_method-s0.json").write_text("{ not JSON")
    (records / "pretrain" / "scratch-s9.json").write_text("{ not JSON")
    aggregate.run(study)


@pytest.mark.parametrize("name", ["pretrain/stackbert-s1.json", "pretrain/source-s2.json", "pretrain/scratch-s0.csv",
                                  "finetune/scratch-s0-p100.json"])  # fmt: skip
def test_a_missing_file_is_named(made: tuple[Study, Path], name: str) -> None:
    study, records = made
    (records / name).unlink()
    with pytest.raises(GrowBenchError, match=name):
        aggregate.run(study)


def test_records_of_two_configs_are_refused(made: tuple[Study, Path]) -> None:
    study, records = made
    edit(records / "pretrain" / "stackbert-s1.json", config_hash="decaf0123456")
    with pytest.raises(GrowBenchError, match=r"stackbert-s1\.json: config_hash is decaf0123456, but this config's is"):
        aggregate.run(study)


@pytest.mark.parametrize(("key", "value"), [("version", 1), ("seed", 5), ("method", "other"), ("kind", "finetune")])
def test_a_record_that_is_not_what_its_name_says_is_refused(made: tuple[Study, Path], key: str, value: Any) -> None:
    study, records = made
    edit(records / "pretrain" / "stackbert-s1.json", **{key: value})
    with pytest.raises(GrowBenchError, match=rf"stackbert-s1\.json: {key} is"):
        aggregate.run(study)


def test_a_fine_tuning_record_without_a_task_is_refused(made: tuple[Study, Path]) -> None:
    study, records = made
    path = records / "finetune" / "stackbert-s1-p100.json"
    edit(path, runs=json.loads(path.read_text())["runs"][:-1])
    with pytest.raises(GrowBenchError, match=r"task similarity with seed 1 is missing at LR 0\.0005"):
        aggregate.run(study)


def test_mixed_commits_are_reported(made: tuple[Study, Path], caplog: pytest.LogCaptureFixture) -> None:
    study, records = made
    edit(records / "pretrain" / "stackbert-s1.json", provenance=constructed.provenance() | {"dirty": True})
    with caplog.at_level(logging.WARNING):
        tables = aggregate.run(study)
    assert "abc123def456, abc123def456+" in caplog.text
    assert "abc123def456, abc123def456+" in (tables / "savings.md").read_text()


def test_a_study_without_scratch_is_refused(made: tuple[Study, Path]) -> None:
    study, _ = made
    del study.methods["scratch"]
    with pytest.raises(GrowBenchError, match=r"methods\.scratch"):
        aggregate.run(study)
