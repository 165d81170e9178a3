"""The runner on a real, tiny study: budgets are met, the ledger adds up, an interrupted run ends with the same bytes."""

import csv
import dataclasses
from pathlib import Path

import pytest
import torch
from support.tiny import ALWAYS, OTHERS, result, tiny, weights

from growbench import methods
from growbench.errors import GrowBenchError
from growbench.pipeline import forecast
from growbench.pipeline.pretrain import run as pretrain
from growbench.pipeline.pretrain.stages import Stages
from growbench.plan.plan import Plan
from growbench.study import timeline
from growbench.train.loop import Trainer


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    return tiny(tmp_path, others=OTHERS)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The same study with a checkpoint after every step."""
    monkeypatch.chdir(tmp_path)
    return tiny(tmp_path, others=OTHERS, seconds=ALWAYS)


def test_finished_points_cost_their_budget_and_belong_to_the_target(study) -> None:
    pretrain.run(study, "source", 0)
    source = result(Path("results/tiny/records/pretrain/source-s0.json"))
    for method in ("scratch", "stackbert", "bert2bert_fpi", "bert2bert", "mslt"):
        values = result(pretrain.run(study, method, 0))
        assert [p["point"] for p in values["points"]] == ["p60", "p80", "p100"]
        for point in values["points"]:
            assert point["flops"] == pytest.approx(point["budget_flops"], rel=0.06)
            extra = source["points"][-1]["flops"] if method.startswith("bert2bert") else 0
            assert point["flops_total"] == pytest.approx(point["flops"] + extra)
            if method in ("bert2bert", "mslt"):
                assert point["flops_electra"] > point["flops"] * 2 / 3
            else:
                assert point["flops_electra"] == pytest.approx(point["flops"] * 2 / 3)
        trunk = sum(e["flops"] for e in values["ledger"] if e["phase"] == "trunk")
        cooled = sum(e["flops"] for e in values["ledger"] if e["phase"] == "cooldown")
        assert trunk < values["points"][-1]["flops"] < trunk + cooled
        assert values["spec"]["layers"] == 4 and values["points"][-1]["loss"] < values["initial_loss"]
        with open(f"results/tiny/records/pretrain/{method}-s0.csv") as handle:
            rows = list(csv.DictReader(handle))
        assert float(rows[-1]["valid_loss"]) == values["points"][-1]["loss"]
    records = Path("results/tiny/records/pretrain")
    source, random, copies = (
        result(records / f"{method}-s0.json")["points"][-1]["tail_energy"]
        for method in ("source", "scratch", "bert2bert_fpi")
    )
    assert source is None and copies < 1e-9 and 0.05 < random < 0.5
    stages = [s["spec"]["layers"] for s in result(Path("results/tiny/records/pretrain/stackbert-s0.json"))["plan"]]
    assert stages == [1, 2, 4]


def test_masks_are_lifted_before_the_first_point_and_a_resumed_run_lifts_them_alike(kept, monkeypatch) -> None:
    study = kept
    pretrain.run(study, "source", 0)
    source = result(Path("results/tiny/records/pretrain/source-s0.json"))["points"][-1]["loss"]
    values = dict(study.methods)
    values["msg"] = {"ramp": 0.3}
    masked = dataclasses.replace(study, methods=values)
    seen: list[tuple[int, float]] = []
    honest = Trainer.step

    def watched(self, number, lr):
        seen.append((number, self.variant.masks.share))
        if len(seen) == 9:
            raise KeyboardInterrupt
        return honest(self, number, lr)

    monkeypatch.setattr(Trainer, "step", watched)
    with pytest.raises(KeyboardInterrupt):
        pretrain.run(masked, "msg", 0)
    record_ = result(pretrain.run(masked, "msg", 0))
    assert record_["initial_loss"] == pytest.approx(source, abs=1e-4)
    shares = dict(seen)
    assert [shares[i] for i in (0, 6)] == pytest.approx([0.0, 0.5]) and shares[13] == 1.0


@pytest.mark.parametrize("policy", ["copy", "scaled", "asymmetric"])
def test_a_growth_on_the_way_carries_the_moments_that_its_stage_asks_for(study, policy, monkeypatch) -> None:
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

    def watched(self, index, before, entered):
        trainer = enter(self, index, before, entered)
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


INTERRUPTED = [
    ("scratch", 21),
    ("scratch", 38),
    ("stackbert", 40),
    *(("mslt", at) for at in (9, 12, 22, 33, 43, 60)),
    *(("bert2bert", at) for at in (3, 12)),
    *(("compoundgrow", at) for at in (45, 55)),
    *(("gradual", at) for at in (7, 12, 20, 30)),
    *(("g_stack", at) for at in (14, 22)),
    *(("staged", at) for at in (30, 80)),
    *(("ki", at) for at in (9, 19)),
    ("msg", 9),
    *(("others", at) for at in (22, 32)),
]


@pytest.mark.parametrize(("method", "at"), INTERRUPTED)
def test_a_run_killed_in_any_stage_ends_with_the_same_bytes(kept, method, at, monkeypatch) -> None:
    study = kept
    if study.method(method).needs_source:
        pretrain.run(study, "source", 0)
    pretrain.run(study, method, 0)
    whole = weights(method)
    for path in sorted(Path("results/tiny/runs").glob(f"{method}-s0/**/*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    honest, taken = Trainer.step, []

    def breaks(self, number, lr):
        taken.append(number)
        if len(taken) == at:
            raise KeyboardInterrupt
        return honest(self, number, lr)

    monkeypatch.setattr(Trainer, "step", breaks)
    with pytest.raises(KeyboardInterrupt):
        pretrain.run(study, method, 0)
    before = len(taken)
    pretrain.run(study, method, 0)
    assert weights(method) == whole
    assert taken[before] == taken[at - 1]  # of the step that was not done, none was kept


def test_a_method_without_its_source_and_too_little_text_are_refused(study) -> None:
    with pytest.raises(GrowBenchError, match=r"source-s0\.json"):
        pretrain.run(study, "bert2bert_aki", 0)
    (Path("results/tiny/corpus") / "train.bin").write_bytes(b"\0" * 1000)
    with pytest.raises(GrowBenchError, match=r"train\.bin"):
        pretrain.run(study, "scratch", 0)


def test_a_loss_that_is_not_finite_stops_the_run(study, monkeypatch) -> None:
    monkeypatch.setattr(Trainer, "step", lambda self, number, lr: torch.tensor(float("nan")))
    with pytest.raises(GrowBenchError, match=r"nan at step \d+, stage 0; the last good checkpoint is none yet"):
        pretrain.run(study, "scratch", 0)


def test_frozen_layers_keep_their_bits_and_get_no_moments(study, monkeypatch) -> None:
    kept: list[dict[str, torch.Tensor]] = []
    enter = Stages.enter

    def watched(self, index, before, entered):
        if before is not None and index > 1:
            learnt = {n for n, p in before.model.named_parameters() if p in before.opt.state}
            frozen = {n: p for n, p in before.model.named_parameters() if n not in learnt}
            assert frozen.keys() >= {n for n in kept[-1] if ".layer.0." in n or "position_embeddings" in n}
            for name, parameter in frozen.items():
                assert torch.equal(parameter, kept[-1][name]), name
            top = index - 1
            assert any(f".layer.{top}." in n for n in learnt) and not any(f".layer.{top - 1}." in n for n in learnt)
        trainer = enter(self, index, before, entered)
        kept.append({n: p.detach().clone() for n, p in trainer.model.named_parameters()})
        return trainer

    monkeypatch.setattr(Stages, "enter", watched)
    values = result(pretrain.run(study, "mslt", 0))
    assert len(kept) == 5 and [s["top"] for s in values["plan"]] == [None, 1, 1, 1, None]


@pytest.mark.parametrize(
    "method",
    [
        "scratch",
        "stackbert",
        "mslt",
        "bert2bert",
        "compoundgrow",
        "gradual",
        "g_stack",
        "ki",
        "scratch_iso",
        "source_longer",
    ],
)
def test_a_run_costs_what_was_forecast(study, method: str) -> None:
    pretrain.run(study, "source", 0)
    values = result(pretrain.run(study, method, 0))
    for phase in ("trunk", "cooldown"):
        spent = {e["stage"]: (e["flops"], e["tokens"]) for e in values["ledger"] if e["phase"] == phase}
        told: dict[int, tuple[float, int]] = {}
        for entry in timeline.of(study, method).entries():
            if entry.phase == phase:
                flops, tokens = told.get(entry.stage, (0.0, 0))
                told[entry.stage] = (flops + entry.steps * entry.cost.flops, tokens + entry.steps * entry.cost.tokens)
        assert told.keys() == spent.keys()
        for stage, (flops, tokens) in told.items():
            assert spent[stage] == (pytest.approx(flops), tokens)


def test_controls_spend_what_a_growing_method_and_its_source_spend_together(study) -> None:
    pretrain.run(study, "source", 0)
    source = result(Path("results/tiny/records/pretrain/source-s0.json"))
    grown = result(pretrain.run(study, "bert2bert_fpi", 0))
    for method in ("scratch_iso", "source_longer"):
        values = result(pretrain.run(study, method, 0))
        for mine, other in zip(values["points"], grown["points"], strict=True):
            share = other["fraction"] * source["points"][-1]["flops"]
            assert mine["flops"] == mine["flops_total"] == pytest.approx(other["flops"] + share, rel=0.06)
        assert values["spec"] == (source if method == "source_longer" else grown)["spec"]


def test_a_forecast_says_what_learns(study) -> None:
    rows = {row["method"]: row for row in forecast.run(study, timing=False)}
    assert rows["source"]["seconds"] is None and rows["scratch"]["flops"] == pytest.approx(
        sum(phase["flops"] for phase in rows["scratch"]["phases"].values())
    )
    whole, *parts, joint = rows["mslt"]["stages"]
    assert whole["learning"] == whole["parameters"] and joint["learning"] == joint["parameters"]
    assert all(stage["learning"] < 0.8 * stage["parameters"] for stage in parts[1:])
    assert rows["bert2bert"]["stages"][0]["learning"] == rows["bert2bert"]["stages"][0]["parameters"]
