"""A run whose record came without its models, from a clone, is trained again; what grows from it says how far it is off."""

import json
import shutil
from pathlib import Path

import pytest
from support.tiny import result, tiny

from growbench.analysis.frames import provenance
from growbench.errors import GrowBenchError
from growbench.pipeline import evaluation
from growbench.pipeline.pretrain import identity as run_identity
from growbench.pipeline.pretrain import run as pretrain
from growbench.records import finished, record
from growbench.records.restored import stands_for
from growbench.study.study import Study
from growbench.train import device

GROWN, OTHER, OFF = "bert2bert_fpi", "f" * 64, 0.015625


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.chdir(tmp_path)
    return tiny(tmp_path, steps=20)


def elsewhere(study: Study) -> None:
    """Make the source's record one of another machine: other weights, and losses that are higher by OFF."""
    path = study.layout.run_record("source", 0)
    values = {key: value for key, value in result(path).items() if key not in ("version", "digest")}
    for point in values["points"]:
        point["model"], point["loss"] = OTHER, point["loss"] + OFF
    record.write(path, **values)


def test_the_same_machine_makes_the_very_models_and_leaves_the_record(study: Study) -> None:
    path = pretrain.run(study, "source", 0)
    before, model = path.read_bytes(), finished.model(study.layout.run("source", 0).point("p100"))
    shutil.rmtree(study.layout.run("source", 0).path)
    with pytest.raises(GrowBenchError, match="no finished point here"):
        pretrain.run(study, GROWN, 0)
    note = json.loads(pretrain.restore(study, "source", 0).read_bytes())
    assert path.read_bytes() == before
    assert [(p["model"], p["recorded_model"]) for p in note["points"]] == [(model, model)]
    grown = result(pretrain.run(study, GROWN, 0))
    assert "source_restored" not in grown and grown["identity"]["source"] == model


def test_on_another_machine_what_grows_says_how_far_its_source_is_off(study: Study) -> None:
    pretrain.run(study, "source", 0)
    elsewhere(study)
    with pytest.raises(GrowBenchError, match="not the model of"):
        pretrain.run(study, GROWN, 0)
    shutil.rmtree(study.layout.run("source", 0).path)
    pretrain.restore(study, "source", 0)
    folder = study.layout.run("source", 0).point("p100")
    assert stands_for(folder, finished.model(folder)) == (OTHER, pytest.approx(-OFF))
    grown = result(pretrain.run(study, GROWN, 0))
    assert grown["identity"]["source"] == OTHER and grown["source_restored"] == pytest.approx(-OFF)
    origin = evaluation.origin(study.layout, folder, device.resolve("cpu", "float32"))
    assert origin["model"] == OTHER and origin["restored"] == pytest.approx(-OFF)
    table = provenance.build([result(study.layout.run_record("source", 0)), grown])
    assert table["restored"].max() == pytest.approx(OFF)
    assert "restored" not in provenance.build([result(study.layout.run_record("source", 0))])


def test_a_run_without_a_record_or_of_other_numbers_is_not_restored(study: Study) -> None:
    with pytest.raises(GrowBenchError, match=r"source-s0\.json"):
        pretrain.restore(study, "source", 0)
    path = pretrain.run(study, "source", 0)
    values = {key: value for key, value in result(path).items() if key not in ("version", "digest")}
    values["identity"]["precision"] = "bf16"
    record.write(path, **values)
    shutil.rmtree(study.layout.run("source", 0).path)
    with pytest.raises(
        GrowBenchError, match=r'the precision \("bf16", now "float32"\) changed since; its models cannot'
    ):
        pretrain.restore(study, "source", 0)
    assert not study.layout.run("source", 0).points.exists()
    assert run_identity.wanted(study, "source", 0)["method"] == "source"
