"""Records have a shape and a digest: what is not as it was written is one line that names the file."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from support import constructed

from growbench.errors import GrowBenchError
from growbench.records import identity, record
from growbench.records.schemas import SHAPES

SEED = 0


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """One record of a run and one of its fine-tunings."""
    monkeypatch.chdir(tmp_path)
    study = constructed.study({"scratch": None}, seeds=[SEED])
    records = constructed.write(tmp_path, study, {})
    return {
        "pretrain": records / "pretrain/scratch-s0.json",
        "finetune": records / "finetune/scratch-s0-p100.json",
    }


def read(path: Path) -> dict[str, Any]:
    return record.read(path, path.parent.name, "scratch", SEED, "p100" if path.parent.name == "finetune" else None)


def test_a_record_reads_back_as_it_was_written(written: dict[str, Path]) -> None:
    for path in written.values():
        assert read(path) == json.loads(path.read_text())


@pytest.mark.parametrize(
    ("kind", "place", "value", "line"),
    [
        ("pretrain", ["points", 0, "loss"], 1.5, "changed after it was written, its digest does not match"),
        ("pretrain", ["provenance", "commit"], "0ther", "changed after it was written, its digest does not match"),
        ("finetune", ["runs", 0, "score"], 0.99, "changed after it was written, its digest does not match"),
        ("pretrain", ["points", 0, "loss"], "3", "points.0.loss: Input should be a valid number"),
        ("pretrain", ["points", 0, "loss"], float("nan"), "points.0.loss: Input should be a finite number"),
        ("pretrain", ["points", 0, "steps"], 2.0, "points.0.steps: Input should be a valid integer"),
        ("pretrain", ["points"], [], "points: List should have at least 1 item"),
        ("pretrain", ["points"], {}, "points: Input should be a valid list"),
        ("pretrain", ["options", "lr"], float("inf"), "changed after it was written, its digest does not match"),
        ("pretrain", ["curve"], "0", "curve: String should match pattern"),
        ("finetune", ["runs", 0, "note"], 1, "runs.0.note: Extra inputs are not permitted"),
        ("finetune", ["a\x1b[31m\nb"], 1, r"a\\x1b[31m\\nb: Extra inputs are not permitted"),
        ("finetune", ["protocol"], "best", "protocol: Input should be 'single', 'grid', 'held_out' or 'probe'"),
        ("finetune", ["digest"], None, "digest: Input should be a valid string"),
    ],
)
def test_a_value_that_was_changed_is_one_line(
    written: dict[str, Path], kind: str, place: list[Any], value: Any, line: str
) -> None:
    path, values = written[kind], json.loads(written[kind].read_text())
    holder = values
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    path.write_text(json.dumps(values))
    with pytest.raises(GrowBenchError) as error:
        read(path)
    message = str(error.value)
    assert message.startswith(f"{path}: {line.replace(chr(92) * 2, chr(92))}") and "\n" not in message
    assert message.endswith("; restore the file, or delete it and run its job again")


def test_every_missing_key_is_named_that_old_records_have(written: dict[str, Path]) -> None:
    for kind, path in written.items():
        whole, fields = json.loads(path.read_text()), SHAPES[kind].model_fields
        required = {name for name, field in fields.items() if field.is_required()}
        assert required <= set(whole) <= set(fields)
        for key in required:
            path.write_text(json.dumps({name: value for name, value in whole.items() if name != key}))
            with pytest.raises(GrowBenchError, match=rf"^{path}: {key}"):
                read(path)


def test_no_single_digit_can_be_changed(written: dict[str, Path]) -> None:
    """Any digit of the file, changed by hand: refused, whether in a loss, a seed, a hash or a date."""
    rng = random.Random(0)
    for path in written.values():
        text = path.read_text()
        for place in rng.sample([i for i, letter in enumerate(text) if letter.isdigit()], 60):
            changed = f"{text[:place]}{(int(text[place]) + 1) % 10}{text[place + 1 :]}"
            if json.loads(changed) == json.loads(text):  # beyond the precision of a float
                continue
            path.write_text(changed)
            with pytest.raises(GrowBenchError, match=str(path)):
                read(path)
        path.write_text(json.dumps(json.loads(text), indent=3))  # white space does not matter
        read(path)


def test_points_follow_one_another(written: dict[str, Path]) -> None:
    path = written["pretrain"]
    values = json.loads(path.read_text())
    constructed.dump(path, values | {"points": values["points"][::-1]})
    with pytest.raises(GrowBenchError, match="point p50 does not follow p100"):
        read(path)


def test_a_search_chose_its_best_trial(tmp_path: Path) -> None:
    values = constructed.search("scratch", [(1e-3, 3.0), (2e-3, 2.5), (4e-3, None)], 2e-3)
    constructed.dump(tmp_path / "s.json", values)
    assert record.read(tmp_path / "s.json", "search", "scratch", 0)["lr"] == 2e-3
    constructed.dump(tmp_path / "s.json", values | {"lr": 1e-3})
    with pytest.raises(GrowBenchError, match=r"s\.json: lr is not that of the trial with the lowest loss"):
        record.read(tmp_path / "s.json", "search", "scratch", 0)


def test_the_digest_covers_everything_else(written: dict[str, Path]) -> None:
    values = json.loads(written["pretrain"].read_text())
    digest = values.pop("digest")
    assert digest == identity.digest(values)
