"""Every kind of stage, on every pre-trained family: it costs what PyTorch counts, and every plan runs to its end."""

from pathlib import Path

import numpy as np
import pytest
import torch
from support import signed
from support.tiny import OTHERS, PLANNED, VOCAB, result, study, tiny, weights
from torch.utils.flop_counter import FlopCounterMode

from growbench import families
from growbench.errors import GrowBenchError
from growbench.growth.masking import ramp
from growbench.pipeline.corpus.corpus import Corpus
from growbench.pipeline.pretrain import run as pretrain
from growbench.pipeline.pretrain import setup
from growbench.pipeline.pretrain.stages import Stages
from growbench.study import timeline
from growbench.study.study import Study
from growbench.train.loop import Trainer

TRAINED = ("bert", "roberta", "electra", "modernbert", "gpt2", "llama")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def counted(trainer: Trainer, number: int) -> float:
    """FLOPs that PyTorch counts for one step, forward and backward."""
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        trainer.step(number, 0.0)
    return float(counter.get_total_flops())


def stages_of(study: Study, method: str) -> Stages:
    ids = np.random.default_rng(0).integers(5, VOCAB, 4000).astype(np.uint16)
    special = {"pad": 0, "cls": 2, "mask": 4}
    corpus = Corpus(train=ids, valid=ids, manifest={"vocab": VOCAB, "special": special})
    return setup.stages_of(study, method, 0, timeline.of(study, method), corpus)


@pytest.mark.parametrize("method", ["scratch", "bert2bert_fpi", "others", *PLANNED])
@pytest.mark.parametrize("family", TRAINED)
def test_the_ledger_counts_what_pytorch_counts(family: str, method: str, tmp_path: Path) -> None:
    """One real step of every kind of every stage of every plan, as the runner takes it."""
    study = tiny(tmp_path, family, others=OTHERS)
    made = families.load(family)
    small = made.build(made.config(study.source_spec(VOCAB), **made.dropout(0.0)), seed=0)
    signed.save(study, "source", small)
    stages = stages_of(study, method)
    trainer: Trainer | None = None
    for index, cost in enumerate(stages.timeline.costs):
        trainer = stages.enter(index, trainer)
        kinds = len(trainer.variant.submodels)
        steps = [counted(trainer, number) for number in range(kinds)]
        assert sum(steps) / kinds == pytest.approx(cost.flops, rel=1e-3), index
        read = trainer.batches.of(0, trainer.variant.cut).inputs.numel()
        assert cost.tokens == read


@pytest.mark.parametrize("method", ["others", *PLANNED])
@pytest.mark.parametrize("family", TRAINED)
def test_every_plan_runs_to_its_end(family: str, method: str, tmp_path: Path) -> None:
    study = tiny(tmp_path, family, steps=28, others=OTHERS)
    if study.method(method).needs_source:
        pretrain.run(study, "source", 0)
    values = result(pretrain.run(study, method, 0))
    assert values["method"] == method and [p["fraction"] for p in values["points"]] == [0.6, 0.8, 1.0]
    assert values["points"][-1]["flops"] == pytest.approx(values["points"][-1]["budget_flops"], rel=0.06)
    assert values["points"][-1]["loss"] < values["initial_loss"] + 0.2
    made = families.load(family).model_class().from_pretrained(f"results/tiny/runs/{method}-s0/points/p100")
    assert families.load(family).spec(made.config) == study.target_spec(VOCAB)


@pytest.mark.parametrize("method", ["mslt", "compoundgrow", "bert2bert", "staged", "ki"])
def test_a_run_of_a_printed_plan_ends_with_the_same_bytes(method: str, tmp_path: Path) -> None:
    import json

    study = tiny(tmp_path, steps=20)
    printed = tmp_path / "plan.json"
    printed.write_text(json.dumps([{"method": method, "plan": timeline.of(study, method).plan.to_list()}]))
    pretrain.run(study, "source", 0)
    pretrain.run(study, method, 0)
    own = weights(method)
    options = {**study.methods[method], "of": method, "plan": str(printed)}
    again = tiny(tmp_path, steps=20, again=options)
    pretrain.run(again, "again", 0)
    assert weights("again") == own


def test_a_growth_by_slope_happens_as_soon_as_the_loss_is_flat(tmp_path: Path) -> None:
    study = tiny(tmp_path, steps=110, staged={"latest": 0.4, "slope": -0.2})
    values = result(pretrain.run(study, "staged", 0))
    spent = {e["stage"]: e["flops"] for e in values["ledger"] if e["phase"] == "trunk"}
    budget = values["points"][-1]["budget_flops"]
    assert 0.02 * budget < spent[0] < 0.35 * budget
    assert values["points"][-1]["flops"] == pytest.approx(budget, rel=0.02)
    flatter = tiny(tmp_path, steps=110, staged={"latest": 0.4, "slope": -1e-6})
    rows = timeline.of(flatter, "staged").entries()
    late = result(pretrain.run(flatter, "staged", 0))
    assert {e["stage"]: e["steps"] for e in late["ledger"] if e["phase"] == "trunk"}[0] <= rows[0].steps


def test_the_weight_of_the_teacher_falls_and_the_teacher_does_not_learn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tiny(tmp_path, ki={"share": 0.5})
    pretrain.run(study, "source", 0)
    seen: list[tuple[float, torch.Tensor]] = []
    honest = Trainer.step

    def watched(self: Trainer, number: int, lr: float) -> torch.Tensor:
        if self.variant.teacher is not None:
            seen.append((self.variant.teacher.weight, next(self.variant.teacher.model.parameters()).detach().clone()))
        return honest(self, number, lr)

    monkeypatch.setattr(Trainer, "step", watched)
    values = result(pretrain.run(study, "ki", 0))
    taught = [w for w, _ in seen]
    assert taught[0] == 1.0 and taught == sorted(taught, reverse=True) and taught[-1] < 2 / len(taught)
    assert np.allclose(np.diff(taught), -1 / len(taught), atol=0.3 / len(taught))
    assert all(torch.equal(p, seen[0][1]) for _, p in seen)
    assert values["points"][-1]["flops_total"] > values["points"][-1]["flops"]


def test_masks_rise_from_the_start_of_their_stage() -> None:
    assert [ramp(s, 0.3, 0.2) for s in (0.3, 0.4, 0.6)] == pytest.approx([0.0, 0.5, 1.0])


def test_pooling_is_refused_where_tokens_are_rotated_by_position() -> None:
    with pytest.raises(GrowBenchError, match=r"pool: modernbert rotates by position, .*; use pool 1, or cut"):
        study(target={"family": "modernbert"}, methods={"scratch": None, "compoundgrow": None})
