"""Attention of finished models: profiles and likeness of maps whose answer is known, every family that reads text."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support import constructed, signed
from support.helpers import TEXT
from support.tiny import tiny

from growbench import families
from growbench.analysis.frames import attention as tables
from growbench.errors import GrowBenchError
from growbench.pipeline import attention
from growbench.pipeline.aggregate import run as aggregate
from growbench.runtime import durable

UNIFORM = np.full((2, 3, 8, 8), 1 / 8)


def looking(distance: int, length: int = 8) -> np.ndarray:
    """A map [T, T] whose queries look at the token so far off, and at the first one where there is none."""
    found = np.eye(length, k=distance)
    found[found.sum(1) == 0, 0] = 1.0
    return found


def test_uniform_attention_is_uniform_at_every_distance() -> None:
    found = attention.profile(UNIFORM[0, 0])
    assert found["first"] == pytest.approx(1 / 8)
    assert set(found["weights"]) == set(range(-6, 7)) and set(found["weights"].values()) == {0.125}


def test_a_head_that_looks_one_to_the_left_has_all_its_mass_there() -> None:
    found = attention.profile(looking(-1))
    assert found["weights"] == {-1: 1.0}
    assert found["first"] == pytest.approx(
        1 / 7, abs=1e-5
    )  # that of the second token, whose left neighbour is the first


def test_likeness_finds_the_most_similar_head_wherever_it_is() -> None:
    source = np.stack([[looking(-1), looking(2)]])
    assert attention.likeness(source[:, ::-1], source) == pytest.approx(1.0)
    assert attention.likeness(np.stack([[looking(-1), looking(0)]]), source) < 0.7
    assert attention.likeness(UNIFORM, source) == pytest.approx(0.0, abs=1e-9)


def test_kept_maps_are_few_and_ordered_from_near_to_far() -> None:
    maps = np.stack([[looking(k, 20) for k in (5, 0, -1, 9, 2, 12)]] * 9)
    rows = attention.examples(maps)
    assert [row["layer"] for row in rows[::4]] == [0, 3, 5, 8]
    order = np.argsort([5, 0, 1, 9, 2, 12])
    assert rows[0]["head"] == order[0] and rows[3]["head"] in (3, 5) and len(rows) == 16
    assert np.shape(rows[0]["weights"]) == (16, 16)


@pytest.mark.parametrize("family", TEXT)
def test_every_family_that_reads_text_is_measured(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows sum to 1; a causal model never looks ahead; tables hold the source, scratch and one method's maps."""
    monkeypatch.chdir(tmp_path)
    study = tiny(tmp_path, family)
    methods = {name: study.methods[name] for name in ("scratch", "bert2bert_fpi", "bert2bert_aki")}
    object.__setattr__(study, "methods", methods)
    kind = families.load(family)
    for name in ("source", *methods):
        spec = study.source_spec(64) if name == "source" else study.target_spec(64)
        torch.manual_seed(len(name))
        signed.save(study, name, kind.build(kind.config(spec)))
    found = durable.read_json(attention.run(study, 0))
    assert [model["method"] for model in found["models"]] == ["source", *methods]
    assert found["models"][0]["likeness"] == pytest.approx(1.0, abs=1e-3)
    near = tables.distances(found)
    assert bool((near["distance"] > 0).any()) == (kind.objective == "mlm")
    maps = tables.maps(found)
    assert set(maps["method"]) == {"source", "scratch", "bert2bert_fpi"}
    assert np.allclose(maps.filter(like="key").sum(axis=1), 1.0, atol=2e-3)
    assert len(maps) == (2 * 2 + 2 * 4 * 4) * 16


def test_a_missing_checkpoint_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GrowBenchError, match=r"source-s0/points/p100: no finished point .* --method source --seed N`"):
        attention.run(tiny(tmp_path), 0)


def test_tables_of_another_config_s_attention_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = constructed.study({"scratch": None}, attention=True)
    constructed.write(tmp_path, study, {})
    monkeypatch.chdir(tmp_path)
    path, made = study.layout.attention_record(0), constructed.attention(study, 0)
    constructed.dump(path, {**made, "config_hash": "0123456789ab"})
    with pytest.raises(GrowBenchError, match=r"s0\.json: config_hash is 0123456789ab, but this config's is"):
        aggregate.run(study)


def test_tables_of_other_models_attention_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = constructed.study({"scratch": None, "direct_copy": None}, attention=True)
    constructed.write(tmp_path, study, {})
    monkeypatch.chdir(tmp_path)
    path, made = study.layout.attention_record(0), constructed.attention(study, 0)
    other = {**made["made_from"], "models": {**made["made_from"]["models"], "scratch": constructed.sha256("other")}}
    constructed.dump(path, {**made, "made_from": other})
    with pytest.raises(
        GrowBenchError, match=r"s0\.json: made from another model than .*scratch-s0\.json; run its job again"
    ):
        aggregate.run(study)
    constructed.dump(path, {**made, "models": made["models"][:-1]})
    with pytest.raises(GrowBenchError, match=r"s0\.json: direct_copy is missing"):
        aggregate.run(study)
    constructed.dump(path, {**made, "models": [*made["models"], {**made["models"][0], "method": "gone"}]})
    assert "gone" not in (aggregate.run(study) / "attention_distance.csv").read_text()
