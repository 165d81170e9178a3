"""The optimizer from stage to stage: grown moments, and parameters that do not learn."""

import dataclasses
from pathlib import Path

import pytest
import torch
from support.tiny import OTHERS, result, tiny

from growbench import methods
from growbench.pipeline.pretrain import run as pretrain
from growbench.pipeline.pretrain.stages import Stages
from growbench.plan.plan import Plan
from growbench.study.study import Study


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.chdir(tmp_path)
    return tiny(tmp_path, others=OTHERS)


@pytest.mark.parametrize("policy", ["copy", "scaled", "asymmetric"])
def test_a_growth_between_stages_carries_the_moments_as_the_plan_says(study, policy, monkeypatch) -> None:
    stack = methods.load("stackbert")
    honest = stack.plan

    def carrying(*given):
        stages = [
            dataclasses.replace(s, optimizer=policy if s.enter == "grow" else "reset") for s in honest(*given).stages
        ]
        return Plan(stages=tuple(stages))

    monkeypatch.setattr(stack, "plan", carrying)
    entered = []
    enter = Stages.enter

    def watched(self, index, before, step, learned):
        trainer = enter(self, index, before, step, learned)
        entered.append(
            {
                n: trainer.opt.state[p]["step"].item()
                for n, p in trainer.model.named_parameters()
                if p in trainer.opt.state
            }
        )
        return trainer

    monkeypatch.setattr(Stages, "enter", watched)
    pretrain.run(study, "stackbert", 0)
    assert entered[0] == {} and len(entered) == 3
    for number, steps in enumerate(entered[1:], 1):
        layers = {n.split(".")[3] for n in steps if ".layer." in n}
        assert len(layers) == 2**number and min(steps.values()) > 0


def test_frozen_layers_do_not_change_and_get_no_moments(study, monkeypatch) -> None:
    weights: list[dict[str, torch.Tensor]] = []
    enter = Stages.enter

    def watched(self, index, before, step, learned):
        if before is not None and index > 1:
            moving = {n for n, p in before.model.named_parameters() if p in before.opt.state}
            frozen = {n: p for n, p in before.model.named_parameters() if n not in moving}
            assert frozen.keys() >= {n for n in weights[-1] if ".layer.0." in n or "position_embeddings" in n}
            for name, parameter in frozen.items():
                assert torch.equal(parameter, weights[-1][name]), name
            top = index - 1
            assert any(f".layer.{top}." in n for n in moving) and not any(f".layer.{top - 1}." in n for n in moving)
        trainer = enter(self, index, before, step, learned)
        weights.append({n: p.detach().clone() for n, p in trainer.model.named_parameters()})
        return trainer

    monkeypatch.setattr(Stages, "enter", watched)
    values = result(pretrain.run(study, "mslt", 0))
    assert len(weights) == 5 and [s["top"] for s in values["plan"]] == [None, 1, 1, 1, None]
