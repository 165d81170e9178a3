"""Finished points of image studies are fine-tuned and probed, with the records of tasks of text."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny import result
from support.tiny_images import tiny_images
from support.torch_flops import counted

from growbench import families
from growbench.errors import GrowBenchError
from growbench.pipeline.corpus.images import tasks as decoded_tasks
from growbench.pipeline.finetune import images as image_tasks
from growbench.pipeline.finetune import run as finetune
from growbench.pipeline.pretrain import run as pretrain
from growbench.records import predictions
from growbench.runtime import durable
from growbench.train.device import CPU
from growbench.train.images import Images

SHORT = {"budget": {"steps": 12, "points": [1.0]}, "source": {"steps": 6}, "methods": {"scratch": None}}
TASKS = {"source": "toyimages", "names": ["shape", "texture"]}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with a finished point and decoded tasks."""
    folder = tmp_path_factory.mktemp("finetune")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        made = tiny_images(folder, **SHORT, tasks=TASKS)
        pretrain.run(made, "scratch", 0)
        decoded_tasks.build(made)
    return folder


def study(trained: Path, monkeypatch: pytest.MonkeyPatch, **changes):
    monkeypatch.chdir(trained)
    return tiny_images(trained, **SHORT, tasks=TASKS, **changes)


def test_generated_tasks_are_what_their_names_say(trained, monkeypatch) -> None:
    made = study(trained, monkeypatch)
    shape, texture = (decoded_tasks.read(made, name) for name in TASKS["names"])
    assert np.array_equal(shape.pixels["train"], texture.pixels["train"])  # the same images, other labels
    pairs = set(zip(shape.labels["train"].tolist(), texture.labels["train"].tolist(), strict=True))
    assert len(pairs) == 12 and (len(shape.entry["classes"]), len(texture.entry["classes"])) == (4, 3)
    corpus = {
        row.tobytes() for row in np.fromfile(made.layout.corpus / "train.bin", np.uint8)[: 600 * 432].reshape(600, -1)
    }
    assert not corpus & {row.tobytes() for row in shape.pixels["train"]}
    with open(made.layout.tasks / "shape/dev.bin", "r+b") as file:
        old = file.read(1)
        file.seek(0)
        file.write(bytes([old[0] ^ 1]))
    with pytest.raises(GrowBenchError, match=r"shape/dev\.bin: its SHA-256 does not match"):
        decoded_tasks.read(made, "shape")
    decoded_tasks.build(made)
    decoded_tasks.read(made, "shape")


def test_a_finished_point_is_fine_tuned_on_every_task(trained, monkeypatch) -> None:
    how = {"epochs": 1, "lr": 1.0e-3, "seeds": [0], "max_train": 100, "protocol": "single"}
    made = study(trained, monkeypatch, finetune=how)
    (path,) = finetune.run(made, "scratch", [0], ["p100"])
    record = result(path)
    assert record["suite"] == "toyimages" and [(run["task"], run["seed"]) for run in record["runs"]] == [
        ("shape", 0), ("texture", 0)
    ]  # fmt: skip
    for run in record["runs"]:
        labels = predictions.unpack(record["labels"][run["task"]])
        assert run["score"] == pytest.approx((predictions.unpack(run["predictions"]) == labels).mean())
        assert run["n_train"] == 100 and run["n_dev"] == 500
    before = path.read_bytes()
    finetune.run(made, "scratch", [0], ["p100"])
    assert path.read_bytes() == before
    path.unlink()
    honest = image_tasks._fit
    monkeypatch.setattr(image_tasks, "_fit", lambda *_: pytest.fail("a finished fine-tuning is not repeated"))
    finetune.run(made, "scratch", [0], ["p100"])
    monkeypatch.setattr(image_tasks, "_fit", honest)
    kept = result(path)["runs"]
    assert [run["predictions"] for run in kept] == [run["predictions"] for run in record["runs"]]


def test_fine_tuning_learns_what_can_be_learned_and_repeats(trained, monkeypatch) -> None:
    """Dark and bright images: a fine-tuning that learns gets all of them right."""
    made = study(trained, monkeypatch, finetune={"epochs": 3, "lr": 3.0e-3})
    task = image_tasks.prepare(made, "texture", made.finetune)
    rng, labels = np.random.default_rng(0), np.arange(200) % 2
    pixels = (60 + 120 * labels[:, None, None, None] + rng.integers(-40, 40, (200, 12, 12, 3))).astype(np.uint8)
    about = replace(task.task, num_labels=2, labels=("dark", "bright"))
    two = replace(task, task=about, train=Images(pixels[:120], labels[:120]), dev=Images(pixels[120:], labels[120:]))
    folder = made.layout.run("scratch", 0).point("p100")
    start = image_tasks.Start.of(families.load("vit"), folder, two, 0.0, CPU)
    first, again = (image_tasks._fit(lambda: start, two, made.finetune, 3.0e-3, 1) for _ in range(2))
    assert first["score"] == 1.0 and first["majority"] == 0.5 and not first["failed"]
    start.model.set_attn_implementation("eager")
    given, gold = two.scaling.inputs(pixels[:8]), torch.from_numpy(labels[:8])
    both = sum(counted(lambda: torch.nn.functional.cross_entropy(start.logits(given), gold)))
    assert first["flops"] == pytest.approx(both / 8 * 120 * made.finetune.epochs, rel=1e-3)
    assert first["predictions"] == again["predictions"] and start.model.config.id2label == {0: "dark", 1: "bright"}


def test_a_probe_reads_the_class_token_of_a_frozen_model(trained, monkeypatch) -> None:
    made = study(trained, monkeypatch, finetune={"protocol": "probe", "max_train": 300})
    point = made.layout.run("scratch", 0).point("p100")
    before = durable.digest(point / "model.safetensors")
    record = result(finetune.run(made, "scratch", [0], ["p100"])[0])
    assert record["protocol"] == "probe" and durable.digest(point / "model.safetensors") == before
    for run in record["runs"]:
        assert run["epochs"] == 0 and {"random_model", "bag_of_words"} == run["floors"].keys()
    task = image_tasks.prepare(made, "texture", made.finetune.of("texture"))
    family = families.load("vit")
    model = family.model_class().from_pretrained(point)
    found = image_tasks.Prober(family, point, CPU, 1)._features(task, model, task.dev)
    with torch.no_grad():
        wanted = family.encode(model, task.scaling.inputs(task.dev.pixels[:5]))[:, 0]
    assert np.allclose(found[:5], wanted.numpy(), atol=1e-5)


def test_another_resolution_interpolates_position_embeddings(trained, monkeypatch) -> None:
    made = study(trained, monkeypatch, images={"task_size": 20})
    with pytest.raises(GrowBenchError, match="not made for shape as the config has it; run `growbench corpus` again"):
        decoded_tasks.read(made, "shape")
    decoded_tasks.build(made)
    try:
        task = image_tasks.prepare(made, "shape", made.finetune.of("shape"))
        assert task.train.pixels.shape[1:] == (20, 20, 3)
        start = image_tasks.Start.of(families.load("vit"), made.layout.run("scratch", 0).point("p100"), task, 0.0, CPU)
        logits = start.logits(task.scaling.inputs(task.dev.pixels[:3]))
        assert logits.shape == (3, 4) and start.model.config.image_size == 12
        small = torch.nn.functional.interpolate(task.scaling.inputs(task.dev.pixels[:3]), (12, 12))
        own = start.model(pixel_values=small).logits  # at its own size nothing is interpolated
        assert torch.allclose(start.logits(small), own, atol=1e-6)
        assert made.trained_part() == study(trained, monkeypatch).trained_part()
        assert made.finetuned_part() != study(trained, monkeypatch).finetuned_part()
    finally:
        decoded_tasks.build(study(trained, monkeypatch))


def test_tasks_that_are_missing_or_of_text_are_one_line(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for tasks, line in (
        (
            {"source": "toyglue", "names": ["paraphrase"]},
            "'paraphrase' is not a task of images of tasks.source toyglue",
        ),
        ({"source": "hub", "names": ["CIFAR-101"]}, "did you mean 'CIFAR-10"),
        ({"source": "toyimages", "names": ["shapes"]}, "did you mean 'shape'"),
    ):
        with pytest.raises(GrowBenchError) as error:
            tiny_images(tmp_path, tasks=tasks, **SHORT)
        assert line in str(error.value) and "\n" not in str(error.value)
    made = tiny_images(tmp_path, tasks={"source": "local", "names": ["Cars"]}, data={"dir": str(tmp_path)}, **SHORT)
    with pytest.raises(
        GrowBenchError, match=r"tasks\.names: Cars: train: .*images/Cars/train does not exist; name a folder"
    ):
        decoded_tasks.check(made)
    with pytest.raises(GrowBenchError, match=r"tasks are not decoded; run `growbench corpus`"):
        decoded_tasks.read(made, "Cars")
