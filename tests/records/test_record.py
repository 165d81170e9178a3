"""Records: written and checked in one place, and committed ones still fit."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import constructed
from support.workflow import ROOT

from growbench.errors import GrowBenchError
from growbench.records import record
from growbench.runtime import durable

WHOSE: dict[str, Any] = {"study": "made", "method": "scratch", "seed": 0, "config_hash": "0123456789ab"}
COMMITTED = sorted((ROOT / "results").glob("*/records/*/*.json"))


def write(path: Path, **values: Any) -> Path:
    """Write a fine-tuning record without runs."""
    made_from = {"config": "0123456789ab", "model": None, "corpus": None, "tasks": None, "precision": "float32"}
    rest = {"made_from": made_from, "suite": "GLUE", "protocol": "single", "runs": []}
    return record.write(
        path, "finetune", **WHOSE, point="p100", **rest | {"provenance": constructed.provenance()} | values
    )


def test_a_record_says_what_it_is_first(tmp_path: Path) -> None:
    path = write(tmp_path / "a/b.json")
    values = json.loads(path.read_text())
    assert path.read_text() == json.dumps(values, indent=1) + "\n"
    assert list(values) == [
        "kind", "version", "study", "method", "seed", "point", "config_hash", "made_from", "suite", "protocol", "runs",
        "provenance", "digest",
    ]  # fmt: skip
    assert record.read(path, "finetune", "scratch", 0, "p100") == values


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"kind": "pretrain"}, "kind is 'pretrain', but must be 'finetune'"),
        ({"version": 1}, "version is 1, but must be 2"),
        ({"method": "stackbert"}, "method is 'stackbert', but must be 'scratch'"),
        ({"method": "a\nb" + 90 * "x"}, r"method is 'a\\nbx+\.\.\., but must be 'scratch'"),
        ({"seed": 1}, "seed is 1, but must be 0"),
        ({"point": "p50"}, "point is 'p50', but must be 'p100'"),
    ],
)
def test_the_record_of_something_else_is_refused(changes: dict[str, Any], line: str, tmp_path: Path) -> None:
    path = write(tmp_path / "b.json")
    constructed.dump(path, {**durable.read_json(path), **changes})
    with pytest.raises(GrowBenchError, match=rf"b\.json: {line}; delete the file and run its job again"):
        record.read(path, "finetune", "scratch", 0, "p100")


@pytest.mark.parametrize("text", ["[]", "3", "null", '"a"'])
def test_a_file_that_is_no_record_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(GrowBenchError, match=r"b\.json: not a record; delete the file and run its job again"):
        record.read(tmp_path / "b.json", "pretrain", "scratch", 0)


def test_numbers_that_json_does_not_know_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write(tmp_path / "b.json", runs=[float("nan")])
    assert not list(tmp_path.iterdir())


def test_committed_records_are_read() -> None:
    assert COMMITTED
    for path in COMMITTED:
        values = durable.read_json(path)
        record.read(path, path.parent.name, values["method"], values["seed"], values.get("point"))
