"""Runs on images: every method's ledger, FLOPs as torch counts them, resumption, validation, and what is refused."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from support import tiny
from support.interrupted import interrupted
from support.tiny import ALWAYS, result, weights
from support.tiny_images import USED, study, tiny_images, values
from torch.utils.flop_counter import FlopCounterMode

from growbench import families
from growbench.errors import GrowBenchError
from growbench.pipeline.pretrain import run as pretrain
from growbench.pipeline.pretrain import setup
from growbench.records import finished
from growbench.study import config, files, timeline
from growbench.train.loop import Trainer

SLOPED = ("staged",)  # its stages end by the slope of the loss, earlier than a forecast says
SHORT = {  # a few steps
    "budget": {"steps": 12, "points": [1.0]},
    "source": {"steps": 6},
    "methods": {
        "scratch": None,
        "direct_copy": None,
        "mslt": None,
        "ki": None,
        "ligo": {"steps": 2},
        "mango": {"steps": 2},
    },
}
OF_STAGES = ("mslt", "bert2bert", "gradual", "ki", "msg", "ligo")


def images(folder: Path, monkeypatch: pytest.MonkeyPatch, family: str = "vit", **changes):
    monkeypatch.chdir(folder)
    return tiny_images(folder, family, **changes)


def check_run(made, method: str) -> None:
    """Assert that a run's ledger and points are what its timeline says."""
    record = result(pretrain.run(made, method, 0))
    assert record["spec"]["family"] == made.target.family and record["spec"]["vocab"] == 0
    assert record["parameters"] == sum(p.numel() for p in model_of(made, method).parameters())
    assert all(0 <= point["accuracy"] <= 1 and np.isfinite(point["loss"]) for point in record["points"])
    told: dict[str, float] = {}
    for entry in timeline.of(made, method).entries():
        told[entry.phase] = told.get(entry.phase, 0.0) + entry.steps * entry.cost.flops
    spent: dict[str, float] = {}
    for entry in record["ledger"]:
        if entry["phase"] not in ("source", "eval") and entry["flops"]:
            spent[entry["phase"]] = spent.get(entry["phase"], 0.0) + entry["flops"]
    assert method in SLOPED or spent == pytest.approx(told)


def model_of(made, method: str):
    point = made.layout.run(method, 0).point("p100")
    return families.load(made.target.family).model_class().from_pretrained(point)


def test_a_growing_run_costs_what_was_forecast_and_resumes_with_the_same_bytes(tmp_path, monkeypatch) -> None:
    made = images(tmp_path, monkeypatch, **SHORT, train={"checkpoint_seconds": ALWAYS})
    pretrain.run(made, "source", 0)
    check_run(made, "direct_copy")
    whole, curve = weights("direct_copy"), made.layout.documents("direct_copy", 0).read_bytes()
    shutil.rmtree(made.layout.run("direct_copy", 0).path)
    interrupted(monkeypatch, [5], lambda: pretrain.run(made, "direct_copy", 0))
    assert weights("direct_copy") == whole and made.layout.documents("direct_copy", 0).read_bytes() == curve


@pytest.mark.slow
@pytest.mark.parametrize("method", USED)
@pytest.mark.parametrize("family", ["vit", "deit"])
def test_every_method_costs_what_was_forecast(family: str, method: str, tmp_path, monkeypatch) -> None:
    made = images(tmp_path, monkeypatch, family)
    if made.reads_source(method):
        pretrain.run(made, "source", 0)
    check_run(made, method)


@pytest.mark.slow
@pytest.mark.parametrize("method", OF_STAGES)
def test_a_run_interrupted_twice_ends_with_the_same_bytes(method: str, tmp_path, monkeypatch) -> None:
    made = images(tmp_path, monkeypatch, train={"checkpoint_seconds": ALWAYS})
    if made.method(method).needs_source:
        pretrain.run(made, "source", 0)
    pretrain.run(made, method, 0)
    whole = weights(method)
    shutil.rmtree(made.layout.run(method, 0).path)
    interrupted(monkeypatch, [3, 14], lambda: pretrain.run(made, method, 0))
    assert weights(method) == whole


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_bytes(tmp_path, monkeypatch) -> None:
    changes = {"budget": {"steps": 400}, "train": {"checkpoint_seconds": ALWAYS}}
    made = images(tmp_path, monkeypatch, **changes)
    Path("config.yaml").write_text(
        "".join(f"{files.line(key, value)}\n" for key, value in values("vit", **changes).items())
    )
    command = [
        sys.executable,
        "-m",
        "growbench",
        "pretrain",
        "--config",
        "config.yaml",
        "--method",
        "scratch",
        "--seed",
        "0",
    ]
    environment = {**os.environ, "PYTHONPATH": str(tiny.ROOT / "src")}
    running = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
    state, points = made.layout.run("scratch", 0).state, made.layout.run("scratch", 0).points
    end = time.monotonic() + 120
    while not (state.is_dir() and list(points.glob("p*"))):
        assert running.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGKILL)  # the group of the process that was started above
    running.wait()
    assert not made.layout.run_record("scratch", 0).exists()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    resumed = weights("scratch")
    shutil.rmtree(made.layout.run("scratch", 0).path)
    pretrain.run(made, "scratch", 0)
    assert weights("scratch") == resumed and len(resumed) == 3


def step_flops(trainer: Trainer, number: int) -> float:
    """FLOPs that torch counts for one step, forward and backward."""
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        trainer.step(number, 0.0)
    return float(counter.get_total_flops())


@pytest.mark.parametrize("family", ["vit", "deit"])
def test_a_step_costs_what_torch_counts(family: str, tmp_path, monkeypatch) -> None:
    made = images(tmp_path, monkeypatch, family, **SHORT)
    for method in ("scratch", "mslt"):
        run = timeline.of(made, method)
        stages = setup.stages_of(made, method, 0, run, setup.corpus_of(made))
        for index, (stage, cost) in enumerate(zip(run.plan.stages, run.costs, strict=True)):
            trainer = stages.trainer(index, stages.models.random(stage), 0)
            kinds = len(stage.submodels())
            mean = sum(step_flops(trainer, number) for number in range(kinds)) / kinds
            assert mean == pytest.approx(cost.flops, rel=1e-3), (method, index)
            assert cost.tokens == made.optimizer.batch * made.objective.length


@pytest.mark.parametrize("method", ["ligo", "mango", "ki"])
def test_what_reads_the_source_costs_what_torch_counts(method: str, tmp_path, monkeypatch) -> None:
    made = images(tmp_path, monkeypatch, **SHORT)
    pretrain.run(made, "source", 0)
    run = timeline.of(made, method)
    stages = setup.stages_of(made, method, 0, run, setup.corpus_of(made))
    if run.growths[0] is not None:
        learner = stages.learner(0)
        learner.model.stock.set_attn_implementation("eager")
        assert step_flops(learner, 0) == pytest.approx(run.growths[0].cost.flops, rel=1e-3)
    else:
        assert step_flops(stages.enter(0, None), 0) == pytest.approx(run.costs[0].flops, rel=1e-3)


def test_finished_points_are_stock_models_that_know_their_classes(tmp_path, monkeypatch) -> None:
    made = images(tmp_path, monkeypatch, **SHORT)
    pretrain.run(made, "scratch", 0)
    corpus, model = setup.corpus_of(made), model_of(made, "scratch")
    assert list(model.config.id2label.values()) == corpus.manifest["classes"] and model.config.image_size == 12
    record = result(made.layout.run_record("scratch", 0))
    numbers = np.arange(len(corpus.valid))[1::2]
    with torch.no_grad():
        logits = model(pixel_values=corpus.scaling.inputs(corpus.valid.pixels[numbers])).logits
    labels = torch.from_numpy(corpus.valid.labels[numbers])
    point = record["points"][-1]
    assert point["accuracy"] == pytest.approx(float((logits.argmax(-1) == labels).float().mean()))
    assert point["loss"] == pytest.approx(float(torch.nn.functional.cross_entropy(logits, labels)), rel=1e-5)
    assert record["entropy_floor"] == corpus.manifest["entropy_floor"] and finished.model(
        made.layout.run("scratch", 0).point("p100")
    )


@pytest.mark.slow
def test_float64_and_bf16_train_on_images(tmp_path, monkeypatch) -> None:
    losses = []
    for precision in ("float64", "float32", "bf16"):
        made = images(tmp_path, monkeypatch, **SHORT, study=f"tiny-{precision}", train={"precision": precision})
        losses.append(result(pretrain.run(made, "scratch", 0))["points"][-1]["loss"])
    assert losses[0] == pytest.approx(losses[1], abs=1e-3) and losses[0] == pytest.approx(losses[2], abs=0.1)


def test_weight_selection_makes_a_smaller_model_of_a_larger_source(tmp_path, monkeypatch) -> None:
    large = {"layers": 4, "hidden": 32, "heads": 4, "ffn": 64, "steps": 4}
    small = {"layers": 2, "hidden": 16, "heads": 2, "ffn": 32}
    changes = {"source": large, "target": small, "budget": {"steps": 8, "points": [1.0]}}
    made = images(tmp_path, monkeypatch, **changes, methods={"scratch": None, "weight_selection": None})
    pretrain.run(made, "source", 0)
    check_run(made, "weight_selection")
    chosen = model_of(made, "weight_selection")
    assert (chosen.config.num_hidden_layers, chosen.config.hidden_size) == (2, 16)
    with pytest.raises(GrowBenchError, match=r"target\.\w+: \d+ is smaller than the source's"):
        study(**changes, methods={"scratch": None, "direct_copy": None})


REFUSED = [
    ({"images": None}, "images: null, but objective.kind is classification"),
    ({"images": {"patch": 5}}, "images.patch: 5 does not divide images.size 12"),
    ({"objective": {"length": 12}}, "objective.length: 12, but images of 12 in patches of 4 are 9 patches and vit adds 1; use 10"),
    ({"attention": True}, "attention: true, but only attention to tokens"),
    ({"zeroshot": {"names": ["pairs"]}}, "zeroshot.names: pairs is a test of text"),
    ({"images": {"most": None}}, "images.most: null"),
    ({"images": {"classes": 13}}, "images.classes: 13, but generated images have at most 12"),
    ({"images": {"confused": 0.8}}, "images.confused: 0.8 leaves nothing to learn from 4 classes; use less than 0.75"),
    ({"corpus": {"source": "local", "train": "x"}}, "images.confused: 0.1, but only labels of generated images"),
    ({"source": {"path": "some/model"}}, "source.path: "),
    ({"finetune": {"protocol": "held_out", "lr": [1e-3, 2e-3]}}, "finetune.protocol: held_out is for tasks of text"),
    ({"corpus": {"source": "local"}, "images": {"confused": 0.0}}, "corpus.train: null"),
    ({"tasks": {"names": ["paraphrase"]}}, "tasks.names: 'paraphrase' is not a task of images"),
    ({"methods": {"scratch": None, "compoundgrow": None}}, "pool, cut: they shorten text"),
    ({"data": {"repeat": False}, "images": {"most": 30}}, "images and the corpus has 30; use more images"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "line"), REFUSED, ids=[line[:30] for _, line in REFUSED])
def test_values_that_contradict_each_other_are_one_line(changes: dict, line: str) -> None:
    with pytest.raises(GrowBenchError, match=r"(?s)^.*$") as error:
        study(**changes)
    assert line in str(error.value) and "\n" not in str(error.value) and ";" in str(error.value)


def test_a_study_of_text_with_images_null_is_the_one_without_the_key() -> None:
    text = files.read(tiny.ROOT / "config/demo.yaml")
    with_key = config.load({**text, "images": None})
    assert "images" not in with_key.trained_part()
    assert config.load({key: value for key, value in text.items() if key != "images"}) == with_key


def test_no_step_looks_at_the_clock_or_the_order_of_calls(tmp_path, monkeypatch) -> None:
    """Trainer.step draws from (seed, step): steps taken in another process read the same images."""
    made = images(tmp_path, monkeypatch)
    read = [setup.batches_of(made, setup.corpus_of(made), 0, "target") for _ in range(2)]
    forward, backward = ([read[i].of(step).inputs for step in order] for i, order in enumerate(([0, 1, 2], [2, 1, 0])))
    assert all(torch.equal(one, other) for one, other in zip(forward, reversed(backward), strict=True))
