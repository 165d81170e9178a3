"""Files and checkpoints after crashes, damage and full disks: complete or absent, reported in one line, the previous one used."""

import dataclasses
import errno
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.interrupted import curve, ending
from support.tiny import ALWAYS, tiny, weights

from growbench.cli import main as cli
from growbench.errors import GrowBenchError
from growbench.pipeline.corpus import corpus
from growbench.pipeline.pretrain import identity
from growbench.pipeline.pretrain import run as pretrain
from growbench.records import finished
from growbench.records.layout import Layout
from growbench.runtime import durable
from growbench.train import checkpoint
from growbench.train.loop import Trainer

RUN = Layout("tiny").run("stackbert", 0)
STATE, POINT = RUN.state, RUN.point("p100")


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    return tiny(tmp_path)


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGE = {
    "truncated": (lambda f: os.truncate(f / checkpoint.TENSORS, 1000), "1000 bytes, but"),
    "altered": (lambda f: flipped(f / checkpoint.TENSORS), "its SHA-256 does not match"),
    "half missing": (lambda f: (f / checkpoint.STATE).unlink(), "state.json: No such file"),
    "unsealed": (lambda f: (f / durable.SEAL).unlink(), "manifest.json: No such file"),
    "seal altered": (lambda f: os.truncate(f / durable.SEAL, 20), "not a complete list of files"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_checkpoint_is_reported_and_the_previous_one_is_used(tmp_path, kind, caplog) -> None:
    harm, why = DAMAGE[kind]
    for step in (1, 2, 3):
        checkpoint.save_state(tmp_path / "state", {"model/a": torch.full((999,), float(step))}, {"step": step})
    assert {p.name for p in tmp_path.iterdir()} == {"state", "state.old"}
    harm(tmp_path / "state")
    with caplog.at_level(logging.WARNING):
        state = checkpoint.load_state(tmp_path / "state")
    assert state == {"step": 2} and load_file(tmp_path / "state" / checkpoint.TENSORS)["model/a"][0] == 2
    (line,) = caplog.messages
    assert why in line and "the previous checkpoint, " in line and "state.old, is used" in line and "\n" not in line
    caplog.clear()
    harm(tmp_path / "state")
    with caplog.at_level(logging.WARNING):
        assert checkpoint.load_state(tmp_path / "state") is None
    assert "the run starts over" in caplog.text
    assert {p.name for p in tmp_path.iterdir()} == {"state.damaged"}


@pytest.mark.parametrize("point", [0, 1])
def test_a_run_that_resumes_from_the_previous_checkpoint_ends_with_the_same_bytes(study, point, monkeypatch) -> None:
    """A finished point and rows of the curve are newer than the checkpoint that the run goes back to."""
    first = ending(monkeypatch, set(), lambda: None)
    pretrain.run(study, "stackbert", 0)
    taken, whole = list(first), (weights("stackbert"), curve("stackbert"))
    shutil.rmtree(POINT.parents[2])
    at = [i for i in range(1, len(taken)) if taken[i] <= taken[i - 1]][point]  # the first step after a cool-down

    def crash() -> None:
        raise KeyboardInterrupt

    again = ending(monkeypatch, {at + 1}, crash)
    with pytest.raises(KeyboardInterrupt):
        pretrain.run(study, "stackbert", 0)
    assert len(points(STATE)) == len(points(durable.older(STATE))) + 1 == point + 1
    flipped(STATE / checkpoint.TENSORS)
    pretrain.run(study, "stackbert", 0)
    assert (weights("stackbert"), curve("stackbert")) == whole
    assert len(again) - (at + 1) > len(taken) - at  # the cool-down before it is taken again


def points(state: Path) -> list[Any]:
    return durable.read_json(state / checkpoint.STATE)["points"]


def test_a_checkpoint_of_another_config_is_reported(study, caplog) -> None:
    pretrain.run(study, "scratch", 0)
    other = dataclasses.replace(study, optimizer=dataclasses.replace(study.optimizer, clip=0.5))
    with caplog.at_level(logging.WARNING):
        pretrain.run(other, "scratch", 0)
    assert "scratch-s0: the config changed since; training it again" in caplog.messages


@pytest.mark.parametrize("step", ["file", "seal", "first rename", "second rename"])
def test_a_crash_while_saving_leaves_a_checkpoint(tmp_path, step, monkeypatch) -> None:
    """A crash is a failure after which nothing is cleared up."""
    one = {"model/a": torch.ones(9)}
    for number in (1, 2):
        checkpoint.save_state(tmp_path / "state", one, {"step": number})

    def crash(*_: Any, **__: Any) -> None:
        raise SystemExit

    honest, calls = os.replace, []

    def replace(*names: Any) -> None:
        calls.append(names)
        if len(calls) == (1 if step == "first rename" else 2):
            raise SystemExit
        honest(*names)

    remove = shutil.rmtree

    def kept(path: Path, **_: Any) -> None:
        if path.exists() and not path.name.endswith(".tmp"):
            remove(path)

    with monkeypatch.context() as patch:
        patch.setattr(durable.shutil, "rmtree", kept)
        if step == "file":
            patch.setattr(checkpoint, "save_file", crash)
        elif step == "seal":
            patch.setattr(durable, "_seal", crash)
        else:
            patch.setattr(durable.os, "replace", replace)
        with pytest.raises(SystemExit):
            checkpoint.save_state(tmp_path / "state", one, {"step": 3})
    assert (tmp_path / "state.tmp").exists()
    assert checkpoint.load_state(tmp_path / "state") == {"step": 2}
    checkpoint.save_state(tmp_path / "state", one, {"step": 4})
    assert checkpoint.load_state(tmp_path / "state") == {"step": 4}


def test_a_damaged_finished_point_is_refused(study) -> None:
    wanted = identity.wanted(study, "stackbert", 0)
    with pytest.raises(
        GrowBenchError, match=r"p100: no finished point here; run `growbench pretrain --config FILE --method stackb"
    ):
        finished.point(study.layout, wanted, "stackbert", 0, "p100")
    pretrain.run(study, "stackbert", 0)
    assert finished.point(study.layout, wanted, "stackbert", 0, "p100") == POINT
    flipped(POINT / "model.safetensors")
    with pytest.raises(
        GrowBenchError,
        match=r"p100/model\.safetensors: its SHA-256 does not match .* run `growbench pretrain --config FILE --method stackbert --seed N` again",
    ):
        finished.point(study.layout, wanted, "stackbert", 0, "p100")


def test_a_source_s_record_of_another_config_is_refused(study) -> None:
    pretrain.run(study, "source", 0)
    other = dataclasses.replace(study, optimizer=dataclasses.replace(study.optimizer, clip=0.5))
    with pytest.raises(
        GrowBenchError, match=r"source-s0\.json: the config changed since; run .* --method source --seed N` again"
    ):
        pretrain.run(other, "bert2bert", 0)


def test_numbers_that_are_not_finite_are_never_kept(study, monkeypatch) -> None:
    """The weights break in step 12; its own loss was finite, and a checkpoint is due after each step."""
    study = dataclasses.replace(study, train=dataclasses.replace(study.train, checkpoint_seconds=ALWAYS))
    honest = Trainer.step

    def step(self: Trainer, number: int, lr: float) -> Any:
        value = honest(self, number, lr)
        if number == 12:
            with torch.no_grad():
                next(self.model.parameters())[5] = float("nan")
        return value

    monkeypatch.setattr(Trainer, "step", step)
    kept = r"diverged: model/\S+ is not finite after step 12, stage 0; the last good checkpoint is results/\S+state, step 12;"
    with pytest.raises(GrowBenchError, match=kept):
        pretrain.run(study, "scratch", 0)
    folder = Layout("tiny").run("scratch", 0).state
    state = checkpoint.load_state(folder)
    assert checkpoint.infinite(load_file(folder / checkpoint.TENSORS)) is None
    assert state["at"]["step"] + state["segment"]["done"] == 12


def test_a_loss_far_above_ignorance_stops_the_run(study, monkeypatch) -> None:
    monkeypatch.setattr(Trainer, "step", lambda self, number, lr: torch.tensor(50.0 if number > 5 else 4.0))
    with pytest.raises(GrowBenchError, match=r"scratch-s0 diverged: the loss is .* stage 0; .* use a smaller LR"):
        pretrain.run(study, "scratch", 0)


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EROFS, "make it writable"),
        (errno.ESTALE, "the file server has replaced it; run the same command to resume"),
    ],
)
def test_what_the_file_system_refuses_is_one_line_and_leaves_the_old(
    study, number, remedy, monkeypatch, capsys
) -> None:
    durable.write_text(Path("a/b.json"), "old")
    checkpoint.save_state(Path("a/state"), {"model/a": torch.ones(3)}, {"step": 1})

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(durable.os, "fsync", refuse)
    for attempt in (
        lambda: durable.write_text(Path("a/b.json"), "new"),
        lambda: checkpoint.save_state(Path("a/state"), {"model/a": torch.ones(3)}, {"step": 2}),
    ):
        with pytest.raises(GrowBenchError, match=rf"^a/\S+: {os.strerror(number)}; {remedy}"):
            attempt()
    assert Path("a/b.json").read_text() == "old" and checkpoint.load_state(Path("a/state")) == {"step": 1}
    assert {p.name for p in Path("a").iterdir()} == {"b.json", "state"}
    monkeypatch.setitem(cli.VERBS, "aggregate", (refuse, "x"))
    assert cli.main(["aggregate", "--config", "x"]) == 2
    assert remedy in capsys.readouterr().err


def test_a_corpus_manifest_changed_by_hand_is_refused(study) -> None:
    path = study.layout.corpus_manifest
    durable.write_json(path, {**durable.read_json(path), "vocab": 70_000})
    with pytest.raises(GrowBenchError, match=r"manifest.json: its digest does not match"):
        corpus.load(path.parent)


def test_a_tokenizer_with_gaps_in_its_ids_is_refused(tmp_path) -> None:
    from growbench.pipeline.corpus import pack
    from growbench.pipeline.corpus.encoded import Recipe, side

    writer, recipe = pack.Writer(tmp_path / "train.bin", vocab=64, sep=3), Recipe(vocab=64, sep=3)
    writer.add(side([[1, 2, 63]], ["a b c"], recipe))
    with pytest.raises(GrowBenchError, match="it gives id 64, but has only 64 tokens"):
        writer.add(side([[64]], ["d"], recipe))
    assert writer.close()["tokens"] == 4 and np.fromfile(tmp_path / "train.bin", np.uint16).tolist() == [1, 2, 63, 3]


def test_a_record_that_is_not_text_is_one_line(tmp_path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(GrowBenchError, match=r"a\.json: not a complete JSON file \(not UTF-8 text\)"):
        durable.read_json(tmp_path / "a.json")
