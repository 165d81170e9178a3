"""An interrupted run resumes from its last checkpoint and ends with the same bytes."""

import csv
import dataclasses
import shutil
from pathlib import Path

import pytest
from support.interrupted import interrupted
from support.tiny import ALWAYS, OTHERS, result, tiny, weights

from growbench.pipeline.pretrain import run as pretrain
from growbench.study.study import Study
from growbench.train.loop import Trainer


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A study that writes a checkpoint after every step."""
    monkeypatch.chdir(tmp_path)
    return tiny(tmp_path, others=OTHERS, ligo={"steps": 8}, seconds=ALWAYS)


INTERRUPTED = {  # before these steps, counted from 1
    "scratch": (21, 38),
    "stackbert": (40,),
    "mslt": (9, 12, 22, 33, 43, 60),
    "bert2bert": (3, 12),
    "compoundgrow": (45, 55),
    "gradual": (7, 12, 20, 30),
    "g_stack": (14, 22),
    "staged": (30, 80),
    "ki": (9, 19),
    "msg": (9,),
    "ligo": (4, 9, 30),
    "others": (22, 32),
}


@pytest.mark.parametrize("method", INTERRUPTED)
def test_a_run_interrupted_in_every_stage_ends_with_the_same_bytes(study, method, monkeypatch) -> None:
    if study.method(method).needs_source:
        pretrain.run(study, "source", 0)
    pretrain.run(study, method, 0)
    whole, documents = weights(method), study.layout.documents(method, 0)
    by_document = documents.read_bytes()
    shutil.rmtree(study.layout.run(method, 0).path)
    interrupted(monkeypatch, INTERRUPTED[method], lambda: pretrain.run(study, method, 0))
    assert weights(method) == whole and documents.read_bytes() == by_document


def test_masks_are_lifted_before_the_first_point_and_in_the_same_way_after_an_interruption(study, monkeypatch) -> None:
    pretrain.run(study, "source", 0)
    *_, last = csv.DictReader(Path("results/tiny/records/pretrain/source-s0.csv").read_text().splitlines())
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
    record = result(pretrain.run(masked, "msg", 0))
    assert record["initial_loss"] == pytest.approx(float(last["valid_loss"]), abs=1e-4)
    shares = dict(seen)
    assert [shares[i] for i in (0, 6)] == pytest.approx([0.0, 0.5]) and shares[13] == 1.0


@pytest.mark.parametrize(("family", "method", "changes"), [("gpt2", "lemon", {}), ("bert", "mslt", {"dropout": 0.1})])
def test_config_changes_of_a_growth_and_dropout_survive_an_interruption(
    family: str, method: str, changes: dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LEMON at a non-integer ratio scales the norm's epsilon; dropout draws random numbers."""
    monkeypatch.chdir(tmp_path)
    study = tiny(tmp_path, family, steps=20, seconds=ALWAYS, lemon={})
    study = dataclasses.replace(
        study,
        target=dataclasses.replace(study.target, hidden=40, heads=5),
        train=dataclasses.replace(study.train, **changes),
    )
    pretrain.run(study, "source", 0)
    pretrain.run(study, method, 0)
    whole = weights(method)
    epsilon = Path(f"results/tiny/runs/{method}-s0/points/p100/config.json").read_text()
    shutil.rmtree(Path(f"results/tiny/runs/{method}-s0"))
    taken = interrupted(monkeypatch, [12], lambda: pretrain.run(study, method, 0))
    assert weights(method) == whole and taken[12] > 0
    assert Path(f"results/tiny/runs/{method}-s0/points/p100/config.json").read_text() == epsilon
