"""Several processes train one model: the curve is that of one process, and whatever ends them is one line."""

import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support.tiny import ROOT
from support.together import CASES, CONTINUED, HALT, PLACES, REFUSED, TORCHRUN, alone, study

from growbench.errors import GrowBenchError
from growbench.pipeline.pretrain import run as pretrain
from growbench.records.layout import Layout
from growbench.runtime import interrupt, launch
from growbench.study import config, files
from growbench.train import checkpoint
from growbench.train.loop import Trainer
from growbench.train.objective import CausalLM, MaskedLM
from growbench.train.processes.ranks import Ranks

LAYOUT = Layout("tiny")


def interrupted(folder: Path, method: str, at: int) -> None:
    """Train a method with one process until a signal comes within step number `at`."""
    honest, taken = Trainer.step, []

    def step(self: Trainer, number: int, lr: float) -> Any:
        taken.append(number)
        if len(taken) == at:
            os.kill(os.getpid(), signal.SIGTERM)
        return honest(self, number, lr)

    with pytest.MonkeyPatch.context() as patch, interrupt.handled(), pytest.raises(interrupt.Stopped):
        patch.setattr(Trainer, "step", step)
        alone(folder, "bert", method)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Path], Path]:
    """By case, the folder in which one process trains; and the folder in which two processes train all cases."""
    root = tmp_path_factory.mktemp("ranks")
    bert = alone(root / "bert", "bert", "source", "msg", "mslt", "compoundgrow", "ligo")
    gpt2 = alone(root / "gpt2", "gpt2", "stackbert")
    dropped = alone(root / "dropped", "bert", "scratch", dropout=0.2, accumulate=2)
    two = root / "two"
    for case in (*CASES, REFUSED):
        (two / case).mkdir(parents=True)
    copied = (LAYOUT.run("source", 0).path, LAYOUT.run_record("source", 0))
    for place in copied:
        (two / "split" / place).parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(bert / copied[0], two / "split" / copied[0])
    shutil.copy(bert / copied[1], two / "split" / copied[1])
    shutil.copytree(bert / LAYOUT.corpus, two / "split" / LAYOUT.corpus)
    interrupted(two / "resumed", "mslt", at=13)
    done = subprocess.run(
        [*TORCHRUN, "2", str(ROOT / "tests/support/together.py"), str(two)], env=PLACES, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    alone(two / CONTINUED, "bert", "mslt")
    return {"decoder": gpt2, "dropped": dropped} | dict.fromkeys(
        ("shared", "split", "resumed", "halted", CONTINUED), bert
    ), two


def curve(folder: Path, method: str) -> list[dict[str, str]]:
    with open(folder / LAYOUT.curve(method, 0), encoding="utf-8") as handle:
        return [{k: v for k, v in row.items() if k != "wall_seconds"} for row in csv.DictReader(handle)]


TRAINED = [(case, method) for case in CASES for method in CASES[case][1]]


@pytest.mark.parametrize(("case", "method"), [*TRAINED, (CONTINUED, "mslt")])
def test_two_processes_train_the_model_that_one_does(trained, case: str, method: str) -> None:
    one, two = trained[0][case], trained[1] / case
    first, second = curve(one, method), curve(two, method)
    assert len(first) == len(second) > 5
    for own, other in zip(first, second, strict=True):
        for key in own:
            losses = key in ("train_loss", "valid_loss") and own[key]
            assert float(other[key]) == pytest.approx(float(own[key]), abs=1e-9) if losses else other[key] == own[key]
    points = sorted((one / LAYOUT.run(method, 0).path).glob("points/*/model.safetensors"))
    assert len(points) == (1 if method == "source" else 3)
    for path in points:
        weights, others = load_file(path), load_file(two / path.relative_to(one))
        assert weights.keys() == others.keys()
        for name, tensor in weights.items():
            assert tensor.dtype == torch.float64
            torch.testing.assert_close(others[name], tensor, rtol=0, atol=1e-9)
    record = json.loads((two / LAYOUT.run_record(method, 0)).read_text())
    assert record["provenance"]["processes"] == (1 if case == CONTINUED else 2)
    assert record["config_hash"] == json.loads((one / LAYOUT.run_record(method, 0)).read_text())["config_hash"]


@pytest.mark.parametrize(("case", "step"), [("resumed", 13), ("halted", HALT)])
def test_two_processes_resume_where_one_or_two_stopped(trained, case: str, step: int) -> None:
    taken = json.loads((trained[1] / case / "taken.json").read_text())
    assert taken[0] == step and taken[0] not in taken[1:]


def test_two_processes_that_resume_end_with_the_same_bytes(trained) -> None:
    """A model that is split, stopped between two steps; another two processes trained it without a stop."""
    points = sorted((trained[1] / "split" / LAYOUT.run("mslt", 0).path).glob("points/*/model.safetensors"))
    assert len(points) == 3
    for path in points:
        assert path.read_bytes() == (trained[1] / "halted" / path.relative_to(trained[1] / "split")).read_bytes()


def test_each_process_writes_its_part_of_a_checkpoint(trained) -> None:
    """Of the tensors that are split, a part each; of those that both have, each is written by one of them."""
    for case in ("shared", "split"):
        state = trained[1] / case / LAYOUT.run("mslt", 0).state
        first, second = [load_file(path) for path in sorted(state.glob("shard-*.safetensors"))]
        whole = load_file(trained[0][case] / LAYOUT.run("mslt", 0).state / checkpoint.TENSORS)
        assert first.keys() | second.keys() == whole.keys()
        for name in first.keys() & second.keys():
            assert case == "split" and len(first[name]) + len(second[name]) == len(whole[name])
        sizes = [sum(tensor.numel() for tensor in found.values()) for found in (first, second)]
        assert sum(sizes) == sum(tensor.numel() for tensor in whole.values()) and max(sizes) < 0.6 * sum(sizes)


def test_a_missing_part_of_a_checkpoint_is_one_line_and_the_previous_one_is_used(trained, tmp_path, caplog) -> None:
    state = tmp_path / "state"
    for suffix in ("", ".old"):
        shutil.copytree(trained[1] / "halted" / f"{LAYOUT.run('mslt', 0).state}{suffix}", f"{state}{suffix}")
    before = json.loads((tmp_path / "state.old/state.json").read_text())
    (part,) = state.glob("shard-00002-*.safetensors")
    part.unlink()
    with caplog.at_level("WARNING"):
        assert checkpoint.load_state(state) == before
    assert caplog.messages == [f"{part}: No such file or directory; the previous checkpoint, {state}.old, is used"]


def test_a_full_disk_of_one_process_is_one_line_in_both_and_the_previous_checkpoint_stays(trained) -> None:
    said = [(trained[1] / REFUSED / f"{rank}.txt").read_text() for rank in (0, 1)]
    assert said == ["state: No space left on device; free some space, then run the same command to resume"] * 2
    assert sorted(p.name for p in (trained[1] / REFUSED).iterdir()) == ["0.txt", "1.txt", "state"]
    assert checkpoint.load_state(trained[1] / REFUSED / "state") == {"step": 1}


@pytest.mark.parametrize("objective", [MaskedLM(0.3, 4, 50), CausalLM()])
def test_micro_batches_are_the_batch_in_equal_parts(objective: Any) -> None:
    ids = torch.randint(5, 50, (6, 16), generator=torch.Generator().manual_seed(0))
    batch = objective.batch(ids, seed=1, step=2)
    pieces = [piece for rank in (0, 1) for piece in Ranks(rank, 2).share(batch, accumulate=3)]
    assert [number for number, _ in pieces] == list(range(6))
    assert torch.equal(torch.cat([piece.inputs for _, piece in pieces]), batch.inputs)
    assert torch.equal(torch.cat([piece.labels for _, piece in pieces]), batch.labels)
    seen = [piece.inputs.flatten()[piece.positions] for _, piece in pieces]
    assert torch.equal(torch.cat(seen), batch.inputs.flatten()[batch.positions])


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"train.processes": 3}, "optimizer.batch: 32 sequences do not split evenly into train.processes 3 x"),
        ({"train.processes": 4, "train.accumulate": 16}, "use a multiple of 64"),
        ({"train.shard": "always"}, "train.shard: always, but train.processes is 1"),
    ],
)
def test_a_batch_that_does_not_split_is_refused(changes: dict[str, Any], line: str) -> None:
    words = [f"{key}={value}" for key, value in changes.items()]
    with pytest.raises(GrowBenchError, match=line):
        config.gather([ROOT / "config/demo.yaml"], words)


def failure(exitcode: int, message: str = "") -> Any:
    return SimpleNamespace(exitcode=exitcode, message=message, error_file_data={"message": message, "traceback": ""})


def test_the_first_fault_is_reported() -> None:
    lost = failure(2, launch.LOST)
    killed = launch._fault({0: lost, 1: failure(-9)}, 2)
    assert str(killed) == "process 1 of 2 was killed by SIGKILL; run the same command to resume"
    assert str(launch._fault({0: lost, 3: failure(2, "a.bin: no space"), 5: lost}, 8)) == "a.bin: no space"
    stopped = launch._fault({0: failure(143, "ended by SIGTERM")}, 2)
    assert isinstance(stopped, interrupt.Stopped) and stopped.signal == signal.SIGTERM


def test_a_killed_process_stops_the_run_with_one_line_and_one_process_resumes_it(
    tmp_path: Path, monkeypatch, caplog
) -> None:
    monkeypatch.chdir(tmp_path)
    made = study("bert")
    values = files.read(ROOT / "config/demo.yaml")
    for key in ("source", "target", "objective", "optimizer", "budget", "corpus", "train", "finetune", "data"):
        values[key] = json.loads(json.dumps(dataclasses.asdict(getattr(made, key)), default=str))
    values.update(study="tiny", seeds=[0], methods={"scratch": None})
    values["budget"]["steps"], values["data"] = 4000, {"dir": None, "repeat": True}
    values["train"] |= {"processes": 2, "checkpoint_seconds": 0.2, "eval_every": 0.002}
    Path("tiny.yaml").write_text(json.dumps(values))
    words = ["pretrain", "--config", "tiny.yaml", "--method", "scratch", "--seed", "0", "--log", "run.log"]
    agent = subprocess.Popen([sys.executable, "-m", "growbench", *words], env=PLACES, stderr=subprocess.PIPE, text=True)
    state = LAYOUT.run("scratch", 0).state / "state.json"
    until = time.monotonic() + 300
    while not state.exists() and agent.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    children = Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text().split()
    assert len(children) == 2
    os.kill(int(children[1]), signal.SIGKILL)
    _, told = agent.communicate(timeout=120)
    lines = [line for line in told.splitlines() if not line[:2].isdigit()]
    assert agent.returncode == 2
    assert lines == ["growbench: process 1 of 2 was killed by SIGKILL; run the same command to resume"]
    assert Path("run.log").read_text().count("process 1 of 2 was killed by SIGKILL") == 1
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    monkeypatch.setattr(Trainer, "step", lambda *given: (_ for _ in ()).throw(InterruptedError))
    with caplog.at_level("INFO"), pytest.raises(InterruptedError):
        pretrain.run(config.gather(["tiny.yaml"]), "scratch", 0)
    reached = [int(m.rsplit(" ", 1)[1]) for m in caplog.messages if "resumes at step" in m]
    assert reached and reached[0] > 0
