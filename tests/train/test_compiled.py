"""Compiled layers: the loop runs them, equal ones share a compilation, and they compute the same."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.tiny import OTHERS, VOCAB, tiny

from growbench import families
from growbench.families import layers_path
from growbench.pipeline.pretrain import run as pretrain
from growbench.pipeline.pretrain import stages
from growbench.plan import flops
from growbench.spec import ModelSpec
from growbench.study import timeline
from growbench.train import build
from growbench.train.batches import Batches
from growbench.train.compiled import compiled
from growbench.train.data import PackedSequences
from growbench.train.loop import Trainer
from growbench.train.objective import CausalLM, MaskedLM
from growbench.train.variants.submodel import SubModel
from growbench.train.variants.variant import Variant


class Counted:
    """A backend that runs graphs as they are and counts graphs and runs."""

    def __init__(self) -> None:
        self.graphs = self.runs = 0

    def __call__(self, graph: Any, inputs: Any) -> Any:
        self.graphs += 1

        def run(*words: Any) -> Any:
            self.runs += 1
            return graph.forward(*words)

        return run


def trainer(name: str, submodels: tuple[SubModel, ...] = ()) -> Trainer:
    family = families.load(name)
    spec = ModelSpec(family=name, layers=4, hidden=16, heads=2, ffn=32, vocab=40, max_length=8)
    model = family.build(family.config(spec, **family.dropout(0.0))).train()
    objective = MaskedLM(0.3, 4, 40) if name == "bert" else CausalLM()
    cost = flops.step(spec, family, batch=2, length=8, positions=objective.positions(8))
    sequences = PackedSequences(np.random.default_rng(0).integers(5, 40, 400), 8, 2, 0)
    variant = Variant(submodels=submodels)
    return build.trainer(family, model, Batches(sequences, objective, 2), cost, build.Recipe(), variant=variant)


@pytest.mark.parametrize("name", ["bert", "gpt2"])
def test_every_layer_of_a_step_runs_compiled_and_equal_layers_share_it(name: str) -> None:
    plain, quick, backend = trainer(name), trainer(name), Counted()
    compiled(quick.model, quick.layers, backend)
    losses = [[float(made.step(number, 1e-3)) for number in range(3)] for made in (plain, quick)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert backend.runs == 3 * 4 and backend.graphs == 1


def test_submodels_of_a_compiled_model_learn_as_they_do_without() -> None:
    submodels = (SubModel(4, 2), SubModel(3, 1))
    plain, quick, backend = trainer("bert", submodels), trainer("bert", submodels), Counted()
    compiled(quick.model, quick.layers, backend)
    for number in range(4):
        assert float(plain.step(number, 1e-3)) == pytest.approx(float(quick.step(number, 1e-3)), rel=1e-6)
    for a, b in zip(plain.model.parameters(), quick.model.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    known = backend.graphs
    for number in range(4, 8):
        quick.step(number, 1e-3)
    assert backend.graphs == known  # a hook comes and goes with every step, and nothing is compiled again
    assert backend.runs >= 4 * (4 + 3)


def test_a_study_that_compiles_compiles_every_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = tiny(tmp_path)
    honest = json.loads(pretrain.run(study, "stackbert", 0).read_text())
    seen: list[int] = []

    def watched(model: Any, layers: str) -> Any:
        seen.append(len(model.get_submodule(layers)))
        assert layers == layers_path(families.load("bert").roles(model.config))
        return compiled(model, layers, Counted())

    monkeypatch.setattr(build, "compiled", watched)
    study = dataclasses.replace(study, train=dataclasses.replace(study.train, compile=True))
    values = json.loads(pretrain.run(study, "stackbert", 0).read_text())
    assert seen == [1, 2, 4]
    assert values["points"][-1]["loss"] == pytest.approx(honest["points"][-1]["loss"], rel=1e-4)
    folder = Path("results/tiny/runs/stackbert-s0/points/p100")
    assert families.load("bert").model_class().from_pretrained(folder).config.num_hidden_layers == 4


def test_layers_that_change_at_every_step_are_left_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = tiny(tmp_path, others=OTHERS)
    seen: list[str] = []
    monkeypatch.setattr(build, "compiled", lambda model, layers: seen.append(layers))
    study = dataclasses.replace(study, train=dataclasses.replace(study.train, compile=True))
    pretrain.run(study, "source", 0)
    assert len(seen) == 1
    plans = {name: timeline.of(study, name, vocab=VOCAB).plan.stages for name in ("msg", "others", "scratch")}
    assert [stages.steady(stage) for stage in plans["scratch"]] == [True]
    assert not stages.steady(plans["msg"][0]) and not stages.steady(plans["others"][0])
    assert stages.steady(plans["others"][-1])
    pretrain.run(study, "msg", 0)
    assert len(seen) == 1 + sum(map(stages.steady, plans["msg"]))
