"""A finished run's record and points are taken only if they are complete and made from what is wanted."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import constructed

from growbench.errors import GrowBenchError
from growbench.records import finished, identity
from growbench.records.layout import Layout
from growbench.runtime import durable

LAYOUT = Layout("made")
POINT = LAYOUT.run("scratch", 0).point("p100")
CONFIG = "0123456789ab"
MADE = {"config": CONFIG, "seed": 0, "precision": "float32", "corpus": None}
AGAIN = "run `growbench pretrain --config FILE --method scratch --seed N` again"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def record() -> dict[str, Any]:
    """Return the record of a run, but for what the finished point says."""
    return constructed.pretrain(constructed.study({"scratch": None}, seeds=[0]), "scratch", 0, 1.0)


def save(made: Any = MADE, weights: bytes = b"weights") -> None:
    with durable.folder(POINT) as folder:
        (folder / "model.safetensors").write_bytes(weights)
        (folder / identity.FILE).write_text(json.dumps(record()["identity"] | made))


def write(made: Any = MADE) -> None:
    values = record()
    last = {**values["points"][-1], "model": finished.model(POINT) if POINT.exists() else None}
    values |= {"config_hash": CONFIG, "identity": values["identity"] | made, "points": [last]}
    constructed.dump(LAYOUT.run_record("scratch", 0), values, constructed.curve(values, 1.0))


def take(**wanted: Any) -> Path:
    return finished.point(LAYOUT, wanted, "scratch", 0, "p100")


def test_what_fits_is_taken() -> None:
    save()
    assert take(seed=0) == POINT
    write()
    assert take(seed=0, config=CONFIG) == POINT
    assert take(corpus="not recorded") == POINT
    assert finished.values(LAYOUT, {"seed": 0}, "scratch", 0)["points"][0]["model"] == finished.model(POINT)


def test_what_is_missing_or_made_from_something_else_is_one_line() -> None:
    with pytest.raises(
        GrowBenchError,
        match=r"p100: no finished point here; run `growbench pretrain --config FILE --method scratch --seed N` f",
    ):
        take()
    save()
    with pytest.raises(GrowBenchError, match=rf"p100: the seed \(0, now 1\) changed since; {AGAIN}"):
        take(seed=1)
    write()
    with pytest.raises(GrowBenchError, match=rf"scratch-s0\.json: the config changed since; {AGAIN}"):
        take(config="0ther")


def test_a_point_must_be_the_one_in_the_record() -> None:
    save()
    write()
    save(weights=b"others")
    with pytest.raises(GrowBenchError, match=rf"p100: not the model of .*scratch-s0\.json; {AGAIN}"):
        take(seed=0)
    save(made={**MADE, "precision": "bf16"})
    with pytest.raises(GrowBenchError, match=r'p100: the precision \("bf16", now "float32"\) changed since'):
        take(seed=0)


def test_a_point_without_its_identity_is_refused() -> None:
    save()
    (POINT / identity.FILE).unlink()
    with pytest.raises(GrowBenchError, match=rf"identity\.json: No such file or directory; {AGAIN}"):
        take(seed=0)
    with durable.folder(POINT) as folder:
        (folder / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(GrowBenchError, match=rf"p100: what it was made from is not recorded; {AGAIN}"):
        take(seed=0)


def test_the_digest_of_several_files_of_weights_covers_all_of_them() -> None:
    found = set()
    for second in (b"b", b"c"):
        with durable.folder(POINT) as folder:
            (folder / "model-1.safetensors").write_bytes(b"a")
            (folder / "model-2.safetensors").write_bytes(second)
        found.add(finished.model(POINT))
    assert len(found) == 2
