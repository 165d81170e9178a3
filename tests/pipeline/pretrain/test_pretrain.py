"""Runs of a real, tiny study: budgets are met, the ledger adds up, and what cannot be trained is refused."""

import csv
from pathlib import Path

import pytest
import torch
from support.tiny import OTHERS, result, tiny

from growbench.errors import GrowBenchError
from growbench.pipeline.pretrain import run as pretrain
from growbench.study.study import Study
from growbench.train.loop import Trainer


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.chdir(tmp_path)
    return tiny(tmp_path, others=OTHERS)


def test_finished_points_cost_their_budget_and_have_the_target_shape(study) -> None:
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
        assert float(rows[-1]["valid_loss"]) == pytest.approx(
            values["points"][-1]["loss"], abs=0.1
        )  # of more documents
    records = Path("results/tiny/records/pretrain")
    source, random, copies = (
        result(records / f"{method}-s0.json")["points"][-1]["tail_energy"]
        for method in ("source", "scratch", "bert2bert_fpi")
    )
    assert source is None and copies < 1e-9 and 0.05 < random < 0.5
    stages = [s["spec"]["layers"] for s in result(Path("results/tiny/records/pretrain/stackbert-s0.json"))["plan"]]
    assert stages == [1, 2, 4]


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
