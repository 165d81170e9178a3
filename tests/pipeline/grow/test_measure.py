"""`growbench grow`: both models are compared in the memory that there is, and where they differ most is said."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.checkpoints import grow, headed, saved
from support.helpers import SPECS
from transformers import BertForQuestionAnswering, BertForSequenceClassification, BertModel

from growbench import families
from growbench.growth.maps import from_index
from growbench.growth.preservation import Sample, compare
from growbench.pipeline.grow import files, measure
from growbench.pipeline.grow.layerwise import layerwise
from growbench.pipeline.grow.tensors import Checkpoint, skeleton
from growbench.runtime import memory

SAME = from_index(range(SPECS["gpt2"].hidden), SPECS["gpt2"].hidden)


@pytest.mark.parametrize("name", families.names())
def test_a_model_that_is_read_layer_by_layer_computes_what_the_whole_one_does(name: str, tmp_path: Path) -> None:
    family = families.load(name)
    source = saved(tmp_path / "source", name)
    model_class = family.model_class()
    whole = model_class.from_pretrained(source).eval()
    tensors = Checkpoint(source, skeleton(model_class, whole.config))
    streamed = layerwise(model_class, whole.config, tensors, tensors.aliases, torch.float32)
    ids = family.inputs(whole.config, batch=2, length=9, seed=1)
    with torch.inference_mode():
        for _ in range(2):
            assert torch.equal(whole(ids)[0], streamed(ids)[0])
    assert all(parameter.isnan().all() for parameter in streamed.parameters())


@pytest.mark.parametrize("model_class", [BertModel, BertForQuestionAnswering, BertForSequenceClassification])
def test_other_heads_are_read_layer_by_layer(model_class: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = headed(tmp_path / "source", model_class)
    whole = grow(source, tmp_path / "whole", hidden=64)["measured"]
    monkeypatch.setattr(memory, "available", lambda: 600_000)
    found = grow(source, tmp_path / "out", hidden=64)["measured"]
    assert found["how"].startswith("layer by layer") and whole["how"].startswith("whole models")
    assert {**found, "how": "", "memory": ""} == {**whole, "how": "", "memory": ""}


def test_the_need_is_said_before_both_models_are_compared(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(memory, "available", lambda: 1000)
    report = grow(source, tmp_path / "out", layers=4)
    assert report["measured"].startswith("not measured (layer by layer, ") and "are free" in report["measured"]
    assert "the comparison of both models will not fit: layer by layer" in caplog.text
    assert report["problem"] is None and (tmp_path / "out" / files.WEIGHTS).is_file()


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")]
)
def test_a_growth_survives_a_lack_of_memory_while_it_is_measured(
    error: Exception, tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, tried = measure.measure, []

    def fail(*given: Any) -> Any:
        tried.append(given[-1])
        if len(tried) == 1 or tried[0] == "all":
            raise error
        return honest(*given)

    monkeypatch.setattr(measure, "measure", fail)
    report = grow(source, tmp_path / "out", layers=4)
    assert tried == ["whole", "layerwise"] and report["measured"]["relative_delta"] is not None
    tried[:] = ["all"]
    report = grow(source, tmp_path / "other", layers=4)
    assert report["measured"].startswith("not measured (out of memory; whole models, ")
    assert report["problem"] is None and (tmp_path / "other" / files.WEIGHTS).is_file()


def test_the_largest_difference_is_found_where_it_was_made(tmp_path: Path) -> None:
    """One row of the position table is changed: only the longest row of tokens reads it."""
    family = families.load("gpt2")
    source, other = saved(tmp_path / "source", "gpt2"), saved(tmp_path / "other", "gpt2")
    tensors = load_file(other / files.WEIGHTS)
    tensors["transformer.wpe.weight"][3] += torch.arange(36.0)
    save_file(tensors, other / files.WEIGHTS)
    rows = (torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([[1, 2, 3, 7]]))
    folders = {"source": source, "target": other}

    def load(which: str) -> Any:
        return family.model_class().from_pretrained(folders[which]).eval()

    found = compare(load, Sample(rows, (), "x"), SAME)
    assert found["at"]["row"] == 2 and found["at"]["position"] == 3 and found["at"]["token"] == 7
    assert 0 <= found["at"]["output"] < SPECS["gpt2"].vocab
    assert compare(lambda _: load("source"), Sample(rows, (), "x"), SAME)["at"] is None
