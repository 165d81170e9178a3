"""A checkpoint as the source: taken as it is, with new heads where it has none, and noticed when it changes."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.helpers import move
from support.tiny import VOCAB, corpus, result, study
from transformers import BertModel

from growbench import families
from growbench.errors import GrowBenchError
from growbench.pipeline.finetune.run import _drawn
from growbench.pipeline.pretrain import run as pretrain
from growbench.pipeline.pretrain import taken
from growbench.records.layout import Layout
from growbench.spec import ModelSpec
from growbench.study import checkpoint
from growbench.study.study import Study

SPEC = ModelSpec(family="bert", layers=2, hidden=16, heads=2, ffn=32, vocab=VOCAB, max_length=24)
HEAD = "cls.predictions.transform.dense.weight"
PRICE = {"source.flops": 1e8, "source.cited": "its paper, table 3"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An encoder that was saved alone, with settings that are not the stock ones, and a corpus of its vocabulary."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(taken.tokenizer, "pretrained_size", lambda study: VOCAB)
    checkpoint._read.cache_clear()
    checkpoint._content.cache_clear()
    torch.manual_seed(0)
    settings = {"hidden_act": "relu", "layer_norm_eps": 1e-5, "hidden_dropout_prob": 0.1}
    move(BertModel(families.load("bert").config(SPEC, **settings)), 1).save_pretrained(tmp_path / "kept")
    corpus(tmp_path / Layout("tiny").corpus)
    return tmp_path / "kept"


def made(folder: Path, **values: Any) -> Study:
    """A study of the checkpoint, right after growth and after training; the config's own sizes are those of another."""
    changes = {
        "source.path": str(folder),
        "source.layers": 1,
        "budget.points": [0.0, 0.6, 1.0],
        "methods": {"scratch": None, "direct_copy": None},
    }
    return study(**{**changes, **values})


def test_the_source_is_the_checkpoint_and_what_it_lacks_is_new(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    own = made(folder, seeds=[0, 1])
    assert (own.source.layers, own.target.family, own.corpus.vocab) == (2, "bert", VOCAB)
    assert own.target_spec(0).max_length == 24 and HEAD in taken.check(own)
    kept = load_file(folder / "model.safetensors")
    found = {}
    for seed in (0, 1):
        values = result(pretrain.run(own, "source", seed))
        assert [point["point"] for point in values["points"]] == ["p100"] and not values["points"][0]["steps"]
        found[seed] = load_file(own.layout.run("source", seed).point("p100") / "model.safetensors")
        assert HEAD in caplog.text
        for name, tensor in kept.items():
            assert name.startswith("pooler.") or torch.equal(found[seed][f"bert.{name}"], tensor)
    assert not torch.equal(found[0][HEAD], found[1][HEAD])


def test_a_model_right_after_growth_is_a_finished_point(folder: Path) -> None:
    own = made(folder)
    pretrain.run(own, "source", 0)
    small = load_file(own.layout.run("source", 0).point("p100") / "model.safetensors")
    name = "bert.embeddings.word_embeddings.weight"
    for method in ("direct_copy", "scratch"):
        values = result(pretrain.run(own, method, 0))
        first, *later = values["points"]
        assert [p["point"] for p in values["points"]] == ["p0", "p60", "p100"]
        assert (first["fraction"], first["flops"], first["steps"]) == (0.0, 0.0, 0) and later[0]["flops"] > 0
        assert first["loss"] == pytest.approx(values["initial_loss"], abs=0.1)
        at = own.layout.run(method, 0).point
        grown, trained = (load_file(at(point) / "model.safetensors")[name] for point in ("p0", "p100"))
        assert torch.equal(grown[:, :16], small[name]) == (method == "direct_copy")
        assert not torch.equal(grown, trained)
        config = json.loads((at("p0") / "config.json").read_text())
        assert (config["hidden_act"], config["hidden_dropout_prob"]) == ("relu", 0.0)


def test_what_it_cost_is_counted_or_not_known(folder: Path) -> None:
    for prices, cost in (({}, None), (PRICE, 1e8)):
        shutil.rmtree("results/tiny/records", ignore_errors=True)
        own = made(folder, **prices)
        source = result(pretrain.run(own, "source", 0))
        grown = result(pretrain.run(own, "direct_copy", 0))
        assert (source["points"][0]["flops"], source["points"][0]["flops_total"]) == (0.0, cost)
        for point in grown["points"]:
            total = None if cost is None else point["flops"] + cost
            assert point["flops_total"] == (None if total is None else pytest.approx(total))
        assert [entry["flops"] for entry in grown["ledger"] if entry["phase"] == "source"] == [cost] * (
            cost is not None
        )


def test_a_method_without_a_whole_model_at_the_start_lacks_the_point_or_is_refused(folder: Path) -> None:
    methods = {"scratch": None, "stackbert": None}
    own = made(folder, methods=methods)
    pretrain.run(own, "source", 0)
    assert [p["point"] for p in result(pretrain.run(own, "stackbert", 0))["points"]] == ["p60", "p100"]
    with pytest.raises(GrowBenchError, match=r"finetune\.points: 0, but stackbert does not begin with a whole model"):
        made(folder, methods=methods, **{"finetune.points": [0.0, 1.0]})


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    save_file({name: tensor for name, tensor in tensors.items() if "layer.1.output.dense" not in name}, path)


def changed(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (shutil.rmtree, "no such directory"),
        (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
        (lambda folder: (folder / "config.json").write_text("{"), "not a complete JSON file"),
        (lambda folder: changed(folder, model_type="t5"), "t5"),
        (lambda folder: changed(folder, num_hidden_layers=None), "lacks a size"),
        (lambda folder: changed(folder, quantization_config={}), "quantized weights"),
        (lambda folder: (folder / "model.safetensors").unlink(), "has no model.safetensors"),
        (cut, "is missing"),
    ],
)
def test_what_cannot_be_grown_is_one_line_before_anything_is_spent(
    folder: Path, damage: Callable[[Path], object], line: str
) -> None:
    damage(folder)
    checkpoint._read.cache_clear()
    with pytest.raises(GrowBenchError, match=line) as error:
        taken.check(made(folder))
    assert "\n" not in str(error.value)


def test_a_checkpoint_that_changes_is_noticed_by_the_source_and_by_what_grows_it(folder: Path) -> None:
    own = made(folder)
    pretrain.run(own, "source", 0)
    pretrain.run(own, "direct_copy", 0)
    tensors = load_file(folder / "model.safetensors")
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, folder / "model.safetensors", {"format": "pt"})
    checkpoint._content.cache_clear()
    with pytest.raises(GrowBenchError, match=r"source-s0\.json: the source changed since"):
        pretrain.run(own, "direct_copy", 0)
    before = result(own.layout.run_record("direct_copy", 0))
    pretrain.run(own, "source", 0)
    after = result(pretrain.run(own, "direct_copy", 0))
    assert before["identity"]["source"] != after["identity"]["source"]
    assert before["identity"]["config"] == after["identity"]["config"]


def test_a_tokenizer_with_more_tokens_than_the_table_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taken.tokenizer, "pretrained_size", lambda study: VOCAB + 1)
    with pytest.raises(GrowBenchError, match=f"its tokenizer has {VOCAB + 1} tokens, but its token table {VOCAB} rows"):
        taken.check(made(folder))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"budget.total": True}, r"budget\.total: true, but nobody knows what the source cost"),
        ({"methods": {"scratch": None, "scratch_iso": None}}, r"methods\.scratch_iso: it spends what the source cost"),
        ({"source.flops": 1e9}, r"source\.flops: given without source\.cited"),
        ({"source.cited": "a paper"}, r"source\.cited: given without source\.flops"),
        ({"source.path": None, **PRICE}, r"source\.flops: .* source\.path is null"),
        ({"finetune.max_length": 32}, r"finetune\.max_length: 32 tokens, .* reads at most 24"),
        ({"target.hidden": 8}, r"target\.hidden: 8 is smaller than the source's 16"),
        ({"target.family": "gpt2"}, None),
    ],
)
def test_contradictions_are_refused_and_the_family_is_the_checkpoint_s(
    folder: Path, changes: dict[str, Any], line: str | None
) -> None:
    if line is None:
        assert made(folder, **{"target.family": "gpt2", "objective.kind": "mlm"}).target.family == "bert"
        return
    with pytest.raises(GrowBenchError, match=line):
        made(folder, **changes)


def test_source_longer_is_a_new_model_of_the_checkpoint_s_shape(folder: Path) -> None:
    own = made(folder, methods={"scratch": None, "source_longer": None}, **PRICE)
    pretrain.run(own, "source", 0)
    values = result(pretrain.run(own, "source_longer", 0))
    assert (values["spec"]["layers"], values["identity"]["source"]) == (2, "none")
    last = values["points"][-1]
    assert last["flops"] == last["flops_total"] == pytest.approx(last["budget_flops"], rel=0.06)


def test_fine_tunings_from_one_checkpoint_differ_by_both_seeds(folder: Path) -> None:
    own, usual = made(folder), study()
    drawn = [_drawn(own, run, seed) for run in (0, 1) for seed in (0, 1)]
    assert len(set(drawn)) == 4 and drawn == [_drawn(own, run, seed) for run in (0, 1) for seed in (0, 1)]
    assert [_drawn(usual, run, seed) for run in (0, 1) for seed in (0, 1)] == [0, 1, 0, 1]
