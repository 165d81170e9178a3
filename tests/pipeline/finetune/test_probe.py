"""Probes: frozen features, floors beside them, a record that says so, and nothing that is computed twice."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics
from support import downstream
from support.downstream import LAYOUT, POINT, study
from support.questions import words

from growbench import families
from growbench.errors import GrowBenchError
from growbench.pipeline.finetune import cut_rows, features
from growbench.pipeline.finetune import run as finetune
from growbench.pipeline.finetune.probe import Prober
from growbench.records import predictions
from growbench.train.device import CPU

LANGUAGE = [name for name in families.names() if families.load(name).objective != "classification"]
RECORD = LAYOUT.finetune_record("scratch", 0, "p100")


def put(folder: Path, rows: dict[str, int]) -> None:
    """Write a small SST-2, where `a` or `b` decides, and a small STS-B, whose score is the share of equal letters."""
    rng = np.random.default_rng(0)
    for task, head in (("SST-2", "sentence\tlabel"), ("STS-B", "sentence1\tsentence2\tscore")):
        place = folder / "glue" / task
        place.mkdir(parents=True)
        for file, count in rows.items():
            lines = [head]
            for number in range(count):
                texts = rng.choice(list("cdefghij"), size=(2, 5))
                if task == "SST-2":
                    texts[0, rng.integers(5)] = "ab"[number % 2]
                    lines.append(" ".join(texts[0]) + f"\t{number % 2}")
                else:
                    same = number % 6
                    texts[1, :same] = texts[0, :same]
                    lines.append("\t".join((*map(" ".join, texts), str(float(same)))))
            (place / file).write_text("\n".join(lines) + "\n")


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A random model and a tokenizer where a run would have left them; the fixture's parameter is its family."""
    monkeypatch.chdir(tmp_path)
    downstream.save(words(), getattr(request, "param", "bert"))
    put(tmp_path, {"train.tsv": 240, "dev.tsv": 60})
    return tmp_path


def probing(folder: Path, **changes: Any) -> Any:
    return study(folder, "SST-2", "STS-B", **{"protocol": "probe", "seeds": [0, 1], **changes})


@pytest.mark.parametrize("finished", LANGUAGE, indirect=True)
def test_features_are_the_mean_of_each_text_read_alone(finished: Path, request: pytest.FixtureRequest) -> None:
    family = families.load(request.node.callspec.params["finished"])
    model = family.model_class().from_pretrained(POINT).eval()
    texts = [[2, 5, 6, 3], [], [2, 9, 3], [2, 7, 8, 3], [2, 5, 6, 7, 8, 3]]
    found = features.pooled(family, model, texts, CPU)
    for row, ids in zip(found, texts, strict=True):
        with torch.no_grad():
            alone = family.encode(model, torch.tensor([ids]))[0].mean(0).numpy() if ids else np.zeros(32)
        assert row == pytest.approx(alone, abs=1e-5)


def test_a_probe_finds_what_is_there_beside_its_floors(finished: Path) -> None:
    record = downstream.run(probing(finished))
    assert record["protocol"] == "probe" and [run["seed"] for run in record["runs"]] == [0, 1, 0, 1]
    assert all((run["epochs"], run["lr"], run["batch"], run["failed"]) == (0, 0, None, False) for run in record["runs"])
    word, *_, number = record["runs"]
    assert word["score"] > 0.9 and word["floors"]["bag_of_words"] > 0.95 and word["majority"] == 0.5
    assert number["main_metric"] == "pearson" and number["floors"]["bag_of_words"] > 0.6 and number["score"] > 0.3
    for run, kept in zip(record["runs"], predictions.examples(record), strict=True):
        assert kept.labels is not None
        if run["task"] == "SST-2":
            assert metrics.accuracy_score(kept.labels, kept.predicted) == run["score"]
        else:
            assert np.corrcoef(kept.labels, kept.predicted)[0, 1] == pytest.approx(run["score"], abs=1e-3)


def test_a_random_model_is_its_own_floor(finished: Path) -> None:
    """The finished point of these tests is a random model of seed 0, so that its probe and its floor are one."""
    first, second = downstream.run(probing(finished))["runs"][2:]
    assert first["score"] == first["floors"]["random_model"]
    assert second["floors"]["random_model"] != second["score"]  # that of seed 1 is another model


def test_probes_change_no_weight_and_repeat(finished: Path) -> None:
    made = probing(finished)
    before = (POINT / "model.safetensors").read_bytes()
    first = downstream.run(made)["runs"]
    assert (POINT / "model.safetensors").read_bytes() == before
    RECORD.unlink()
    for path in LAYOUT.run("scratch", 0).finetuned("p100").iterdir():
        path.unlink()
    again = downstream.run(made)["runs"]
    assert [{**run, "seconds": 0} for run in again] == [{**run, "seconds": 0} for run in first]


def test_finished_probes_and_floors_are_not_computed_again(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    downstream.run(probing(finished))
    done: list[str] = []
    fit, floor = Prober.fit, features.counts
    monkeypatch.setattr(Prober, "fit", lambda self, task, seed: done.append(task.task.name) or fit(self, task, seed))
    monkeypatch.setattr(features, "counts", lambda *words: done.append("counts") or floor(*words))
    before = RECORD.read_bytes()
    downstream.run(probing(finished))
    assert done == [] and RECORD.read_bytes() == before
    downstream.run(study(finished, "SST-2", protocol="probe", seeds=[0, 1, 2]))
    assert done == ["SST-2", "counts", "counts"]  # of train and dev


def test_a_probe_depends_on_no_setting_of_fine_tuning(finished: Path) -> None:
    one, other = probing(finished, lr=1e-3, epochs=1), probing(finished, lr=[1e-3, 2e-3], epochs=9)
    assert one.finetuned_part() == other.finetuned_part() != study(finished, "SST-2", "STS-B").finetuned_part()


def test_texts_of_a_pair_are_cut_one_by_one(finished: Path) -> None:
    """Each text has five words and two special tokens; a pair together has more than eight."""
    made = probing(finished, max_length=8, most_cut=0.5)
    assert [share.cut for share in cut_rows.forecast(made)] == [0, 0, 0, 0]
    assert [run["n_cut_dev"] for run in downstream.run(made)["runs"]] == [0, 0, 0, 0]
    for file in ("train.tsv", "dev.tsv"):
        path = finished / "glue/SST-2" / file
        head, *rows = path.read_text().splitlines()
        path.write_text("\n".join([head, *(f"c d e {row}" for row in rows)]) + "\n")
    with pytest.raises(GrowBenchError, match=r"cuts 100% of SST-2's train rows.*use at least 10"):
        finetune.run(made, "scratch", [0], ["p100"])


def test_spans_cannot_be_probed(tmp_path: Path) -> None:
    with pytest.raises(GrowBenchError, match=r"tasks.names: SQuAD1.1 asks for spans") as caught:
        study(tmp_path, "SQuAD1.1", protocol="probe")
    assert "\n" not in str(caught.value)
