"""A run belongs to what made it: a change that matters gives the bytes of a fresh run, one that does not trains nothing."""

import dataclasses
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from support import same_bytes
from support.edited import Edited
from support.tiny import corpus, tiny

from growbench import growth
from growbench.errors import GrowBenchError
from growbench.pipeline.pretrain import run as pretrain
from growbench.pipeline.pretrain import setup
from growbench.pipeline.pretrain.models import Models
from growbench.records import finished, identity
from growbench.runtime import durable
from growbench.study import timeline
from growbench.study.timeline import Peak
from growbench.train.device import Compute
from growbench.train.loop import Trainer

FPI, AKI = "bert2bert_fpi", "bert2bert_aki"
ROOT = Path("results/tiny")


class World:
    """A study in the working directory, its method files, and what its runs do."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture) -> None:
        self.folder, self.monkeypatch, self.log = folder, monkeypatch, log
        self.methods = Edited(folder, monkeypatch)
        self.study = tiny(folder, steps=20)
        self.method, self.seed, self.lr = FPI, 0, None
        self.steps = 0
        for name in ("step", "value"):  # what an evaluation calls is counted as well
            self._count(name)

    def _count(self, name: str) -> None:
        honest = getattr(Trainer, name)

        def counted(trainer: Trainer, *given: Any, **named: Any) -> Any:
            self.steps += 1
            return honest(trainer, *given, **named)

        self.monkeypatch.setattr(Trainer, name, counted)

    def change(self, **sections: Any) -> None:
        """Change values of the study's sections."""
        changed = {k: dataclasses.replace(getattr(self.study, k), **v) for k, v in sections.items()}
        self.study = dataclasses.replace(self.study, **changed)

    def options(self, **options: Any) -> None:
        self.study = dataclasses.replace(self.study, methods={**self.study.methods, self.method: options})

    def train(self) -> dict[str, Any]:
        """Train the source and the method; return the bytes of the method's files."""
        self.steps = 0
        self.log.clear()
        with self.log.at_level(logging.INFO):
            for name, lr in (("source", None), (self.method, self.lr)):
                pretrain.run(self.study, name, self.seed, Peak(lr))
        name = f"{self.method}-s{self.seed}"
        record = json.loads(same_bytes.compared(ROOT / f"records/pretrain/{name}.json"))
        made = {path: data for path, data in same_bytes.contents(ROOT / "runs" / name).items()}
        rows = same_bytes.compared(ROOT / f"records/pretrain/{name}.csv")
        return {**made, **{key: record[key] for key in record if key not in ("provenance", "options")}, "rows": rows}

    def fresh(self) -> dict[str, Any]:
        """Train everything again in an empty folder; return the bytes of the method's files."""
        for name in ("runs", "records"):
            shutil.rmtree(ROOT / name)
        return self.train()

    @property
    def said(self) -> list[str]:
        return [r.getMessage() for r in self.log.records if r.levelno >= logging.WARNING]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[World]:
    monkeypatch.chdir(tmp_path)
    yield World(tmp_path, monkeypatch, caplog)


def other_text(world: World) -> None:
    honest = json.loads((ROOT / "corpus/manifest.json").read_text())
    shutil.rmtree(ROOT / "corpus")
    corpus(ROOT / "corpus", seed=1)
    assert json.loads((ROOT / "corpus/manifest.json").read_text()) != honest


def other_source(world: World) -> None:
    """Train the source again, on a machine that rounds differently."""
    honest = Models.random

    def rounded(self: Models, stage: Any) -> Any:
        model = honest(self, stage)
        with torch.no_grad():
            next(model.parameters()).mul_(1.0 + 1e-5 * (stage.spec.layers == 2))
        return model

    world.monkeypatch.setattr(Models, "random", rounded)
    shutil.rmtree(ROOT / "runs/source-s0")


def other_precision(world: World) -> None:
    bf16 = Compute(torch.device("cpu"), torch.float32, torch.bfloat16)
    world.monkeypatch.setattr(setup.device, "resolve", lambda device, precision: bf16)


def other_seed_s_folder(world: World) -> None:
    for name in ("source", FPI):
        shutil.copytree(ROOT / f"runs/{name}-s0", ROOT / f"runs/{name}-s1")
    world.seed = 1


def other_plan(world: World) -> None:
    _plan(world, {"until": 0.3}, {"enter": "keep", "optimizer": "reset"})


def _plan(world: World, *changes: dict[str, Any], name: str = "plan.json") -> None:
    """Let the method take its plan from a file: its only stage, once for each of the changes."""
    (stage,) = timeline.of(world.study, FPI).plan.to_list()
    Path(name).write_text(json.dumps([{**stage, **change} for change in changes or ({},)]))
    world.options(plan=name)


def code_of(name: str) -> Callable[[World], None]:
    return lambda world: world.methods.edit(name, '"stack": stacked', '"stack": interpolated')


MATTERS: dict[str, tuple[Callable[[World], None], str]] = {
    "method": (code_of(FPI), "the method's code changed since"),
    "options": (
        lambda world: world.options(depth="interpolate"),
        'the method\'s options (depth: "stack", now "interpolate") changed since',
    ),
    "corpus": (other_text, "the corpus and the source changed since"),
    "source": (other_source, "the source changed since"),
    "seed": (other_seed_s_folder, "the source and the seed (0, now 1) changed since"),
    "precision": (other_precision, 'the source and the precision ("float32", now "bf16") changed since'),
    "plan": (other_plan, "the plan changed since"),
    "lr": (lambda world: setattr(world, "lr", 1e-4), ", now 0.0001) changed since"),
    "growth": (lambda world: world.monkeypatch.setattr(growth, "VERSION", 99), "growth.VERSION (1, now 99) changed since"),
    "config": (lambda world: world.change(optimizer={"clip": 0.5}), "the config and the source changed since"),
    "positions": (lambda world: world.change(finetune={"max_length": 24}), "the config"),
}  # fmt: skip


@pytest.mark.parametrize("kind", MATTERS)
def test_after_a_change_that_matters_the_same_command_gives_the_bytes_of_a_fresh_run(world: World, kind: str) -> None:
    change, words = MATTERS[kind]
    before = world.train()
    change(world)
    after = world.train()
    (line,) = [line for line in world.said if line.startswith(f"{FPI}-s")]
    assert words in line and line.endswith("; training it again") and "\n" not in line
    assert after == world.fresh() and after != before
    assert not world.said


def test_the_file_of_a_base_method_counts(world: World) -> None:
    world.method = AKI
    before = world.train()
    code_of(FPI)(world)
    after = world.train()
    assert world.said == [f"{AKI}-s0: the method's code changed since; training it again"]
    assert after == world.fresh() and after != before


DOES_NOT_MATTER: dict[str, Callable[[World], None]] = {
    "nothing": lambda world: None,
    "comment": lambda world: world.methods.edit(FPI, "\nOPTIONS = {", "\n# chosen as published\nOPTIONS = {"),
    "docstring": lambda world: world.methods.edit(FPI, 'METHOD = Bert2BertFpi()', '"""The instance."""\nMETHOD = Bert2BertFpi()'),
    "other method": lambda world: world.methods.edit("stack", "METHOD = Stack()", "METHOD = Stack()\nMORE = 1"),
    "threads": lambda world: world.change(train={"threads": 2}),
    "checkpoints": lambda world: world.change(train={"checkpoint_seconds": 1e-3}),
    "time stamps": lambda world: [os.utime(path, (0, 0)) for path in world.folder.rglob("*")] and None,
    "fewer tokens than a model reads": lambda world: world.change(finetune={"max_length": 12}),
    "fine-tuning": lambda world: world.change(finetune={"epochs": 9.0}),
    "the plan's file": lambda world: _plan(world, name="renamed.json"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DOES_NOT_MATTER)
def test_after_any_other_change_nothing_is_trained(world: World, kind: str) -> None:
    before = world.train()
    DOES_NOT_MATTER[kind](world)
    after = world.train()
    assert world.steps == 0 and not world.said
    assert after == before
    assert f"{FPI}-s0 is finished, and nothing that it depends on has changed: nothing is trained" in world.log.messages


def remove(*names: str) -> Callable[[], None]:
    return lambda: [shutil.rmtree(ROOT / f"runs/{FPI}-s0" / name) for name in names] and None


def damage() -> None:
    path = ROOT / f"runs/{FPI}-s0/points/p80/model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def exchange() -> None:
    """Put one finished point, whole and sealed, in the place of another."""
    points = ROOT / f"runs/{FPI}-s0/points"
    shutil.rmtree(points / "p80")
    shutil.copytree(points / "p60", points / "p80")


LOST = {
    "last": (remove("points/p100"), "finished point p100 is missing; going back to the previous checkpoint"),
    "first": (remove("points/p60"), "finished point p60 is missing; training it again"),
    "all": (remove("points"), "finished point p60 is missing; training it again"),
    "last and previous state": (remove("points/p100", "state.old"), "p100 is missing; training it again"),
    "damaged": (damage, "p80/model.safetensors: its SHA-256 does not match its manifest; training it again"),
    "exchanged": (exchange, "p80 is not the finished point that was saved; training it again"),
}


@pytest.mark.parametrize("kind", LOST)
def test_a_lost_finished_point_is_made_again(world: World, kind: str) -> None:
    lose, words = LOST[kind]
    before = world.train()
    lose()
    assert world.train() == before
    assert words in world.said[-1]
    for name in ("p60", "p80", "p100"):
        folder = ROOT / f"runs/{FPI}-s0/points" / name
        assert durable.damage(folder) is None and durable.read_json(folder / identity.FILE)["seed"] == 0


def test_points_of_a_run_that_has_no_state_are_used_only_if_they_are_its_own(world: World) -> None:
    world.train()
    shutil.copytree(ROOT / f"runs/{FPI}-s0/points", ROOT / f"runs/{FPI}-s1/points")
    world.seed = 1
    honest = pretrain.Run._enter

    def entered(run: pretrain.Run, *given: Any) -> Any:
        if run.method == FPI:
            assert not list(run.folder.points.iterdir())
        return honest(run, *given)

    world.monkeypatch.setattr(pretrain.Run, "_enter", entered)
    world.train()


def test_a_record_names_the_files_that_belong_to_it(world: World) -> None:
    world.train()
    path = ROOT / f"records/pretrain/{FPI}-s0.json"
    values = json.loads(path.read_text())
    assert values["curve"] == durable.digest(path.with_suffix(".csv"))
    for point in values["points"]:
        folder = ROOT / f"runs/{FPI}-s0/points" / point["point"]
        assert point["model"] == finished.model(folder) == durable.digest(folder / "model.safetensors")
        assert durable.read_json(folder / identity.FILE) == values["identity"]
    source = json.loads((ROOT / "records/pretrain/source-s0.json").read_text())
    assert values["identity"]["source"] == source["points"][-1]["model"]
    assert values["identity"]["precision"] == "float32" and source["identity"]["source"] == "none"


def test_a_source_that_is_not_the_one_in_its_record_is_refused(world: World) -> None:
    world.train()
    for name in ("model.safetensors", durable.SEAL):
        shutil.copy(ROOT / f"runs/{FPI}-s0/points/p100" / name, ROOT / "runs/source-s0/points/p100" / name)
    shutil.rmtree(ROOT / f"runs/{FPI}-s0")
    with pytest.raises(GrowBenchError, match=r"source-s0.*again$"):
        pretrain.run(world.study, FPI, 0)
