"""Fine-tuning on SQuAD: every family's head is on the checkpoint's backbone, and a small model learns to find answers."""

import json
from pathlib import Path

import pytest
import torch
from support import downstream
from support.downstream import POINT, study
from support.questions import WORDS, find, layout, words
from transformers.models.auto.modeling_auto import MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES as STOCK

from growbench import families
from growbench.pipeline.corpus.plain import PlainTokenizer
from growbench.pipeline.finetune import run as finetune
from growbench.tasks import squad

ABLE = [name for name in families.names() if families.load(name).spans]


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A random model and a tokenizer where a run would have left them, and both versions' files."""
    monkeypatch.chdir(tmp_path)
    downstream.save(words(), getattr(request, "param", "bert"), layers=2, initializer_range=0.1)
    for version, folder in (("1.1", "squad"), ("v2.0", "squad_v2")):
        (tmp_path / folder).mkdir()
        for file, count, seed in (("train", 1000, 0), ("dev", 150, 1)):
            made = layout(find(count, seed, version == "v2.0"), version)
            (tmp_path / folder / f"{file}.json").write_text(json.dumps(made))
    return tmp_path


def test_families_say_whether_they_have_a_stock_span_head() -> None:
    assert [name for name in families.names() if STOCK.get(families.load(name).model_type)] == ABLE


@pytest.mark.parametrize("finished", ABLE, indirect=True)
def test_every_family_s_head_is_on_the_checkpoint_s_backbone(finished: Path, request: pytest.FixtureRequest) -> None:
    family = request.node.callspec.params["finished"]
    made = study(finished, "SQuAD1.1", family=family, max_train=8, epochs=1)
    task = finetune.prepare(made, PlainTokenizer(words()), "SQuAD1.1")
    stock = families.load(family).model_class().from_pretrained(POINT).eval()
    pad = stock.config.pad_token_id or 0
    model = task.model(POINT, pad, families.load(family).dropout(0.0)).eval()
    ids = torch.randint(4, len(WORDS), (2, 7), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(model.base_model(ids).last_hidden_state, stock.base_model(ids).last_hidden_state)
    assert downstream.run(made)["runs"][0]["n_dev"] == 150


@pytest.mark.parametrize(("finished", "name"), [("bert", "SQuAD2.0"), ("gpt2", "SQuAD1.1")], indirect=["finished"])
def test_a_small_model_learns_to_find_answers_across_windows(
    finished: Path, name: str, request: pytest.FixtureRequest
) -> None:
    made = study(finished, name, family=request.node.callspec.params["finished"])
    squad.check(made)
    record = downstream.run(made)
    run = record["runs"][0]
    assert record["suite"] == "SQuAD" and run["main_metric"] == "f1" and run["subset"] and not run["failed"]
    assert run["score"] == run["metrics"]["f1"] > 0.95 and run["metrics"]["exact_match"] > 0.95
    assert (run["n_train"], run["n_dev"]) == (1000, 150)
    assert run["majority"] == pytest.approx(1 / 3 if name == "SQuAD2.0" else 0)
    assert ("best_f1" in run["metrics"]) == (name == "SQuAD2.0")


def test_a_run_that_learns_nothing_fails_and_a_grid_tries_every_rate(finished: Path) -> None:
    made = study(finished, "SQuAD2.0", protocol="grid", lr=[1e-9, 1e-3], epochs=1, seeds=[0, 1], max_train=64)
    record = downstream.run(made)
    assert record["protocol"] == "grid"
    assert [(run["lr"], run["seed"]) for run in record["runs"]] == [(1e-9, 0), (1e-9, 1), (1e-3, 0), (1e-3, 1)]
    assert any(run["failed"] for run in record["runs"]) and all(run["n_train"] == 64 for run in record["runs"])
