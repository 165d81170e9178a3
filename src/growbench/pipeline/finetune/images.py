"""Fine-tune or probe finished points on tasks of images, with the same records as tasks of text.

Training images are cropped and mirrored as in pre-training. Images of another size than the model's have position embeddings
that are interpolated (bicubic), by the stock class. A probe is a linear model on the class token's last state; its floors
are that of a random model, and of the pixels themselves, which stand in the place of a bag of words.
"""

import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from growbench import families
from growbench.families import Family
from growbench.pipeline.corpus.images import corpus as image_corpus
from growbench.pipeline.corpus.images import tasks as decoded_tasks
from growbench.pipeline.finetune import linear
from growbench.pipeline.finetune.cache import Cache, of_task
from growbench.pipeline.finetune.classify import majority, results
from growbench.pipeline.finetune.fit import descend, renew
from growbench.pipeline.pretrain.images import augment_of
from growbench.plan import flops
from growbench.records import predictions
from growbench.spec import Pixels
from growbench.study.sections import FinetuneConfig
from growbench.study.study import Study
from growbench.tasks import Task
from growbench.tasks import images as image_tasks
from growbench.train import kernels
from growbench.train.augment import Augment
from growbench.train.device import Compute
from growbench.train.images import Images, Scaling

VERSION = 1  # raise it if what a fine-tuning or a probe scores changes
EVAL_BATCH = 128
Entry = dict[str, Any]  # of a run, in a record


@dataclass(frozen=True, kw_only=True)
class ImageTask:
    """A task that is ready to train on. task: what is known of it. scaling: how pixels become inputs, as in pre-training.

    known: floors of probes that were measured, by what they are of and the seed.
    """

    task: Task
    train: Images
    dev: Images
    scaling: Scaling
    augment: Augment
    known: dict[Any, float] = field(default_factory=dict)

    @property
    def rows(self) -> dict[str, int]:
        """The numbers of images, as a record has them; none is cut."""
        counts = {"n_train": len(self.train), "n_dev": len(self.dev), "n_skipped": self.task.skipped}
        return counts | {"n_cut_train": 0, "n_cut_dev": 0, "n_unreached": 0}

    def labels(self) -> dict[str, Any]:
        """Return the labels of the dev images as a record keeps them."""
        return predictions.pack(self.dev.labels, "class")

    def entry(self, predicted: np.ndarray, seed: int, began: float, **own: Any) -> Entry:
        """Return a run's entry in the record. predicted: classes of the dev images. began: reading of the clock."""
        found, about = results(self.task, predicted, self.dev.labels), self.task
        return {
            "task": about.name, "seed": seed, **self.rows, "subset": about.subset, "metrics": found,
            "main_metric": about.main, "score": found[about.main],
            "majority": majority(about, self.train.labels, self.dev.labels), "failed": bool(np.ptp(predicted) == 0),
            "seconds": round(time.perf_counter() - began, 2), "predictions": predictions.pack(predicted, "class"), **own,
        }  # fmt: skip


def prepare(study: Study, name: str, settings: FinetuneConfig) -> ImageTask:
    """Open one task. If settings.max_train cuts its training images, it becomes a subset."""
    found = decoded_tasks.read(study, name)
    train, dev = (Images(found.pixels[split], found.labels[split]) for split in decoded_tasks.SPLITS)
    counts = len(train), len(dev)
    if settings.max_train is not None and settings.max_train < len(train):
        chosen = np.sort(np.random.default_rng(0).permutation(len(train))[: settings.max_train])
        train = Images(train.pixels[chosen], train.labels[chosen])
        counts = len(train), len(dev)
    entry = found.entry
    files = {split: str(entry[split]["sha256"]) for split in decoded_tasks.SPLITS}
    about = image_tasks.task(name, study.tasks.source, tuple(entry["classes"]), counts, files, entry["skipped"])
    scaling = image_corpus.scaling_of(study.layout.corpus)
    return ImageTask(task=about, train=train, dev=dev, scaling=scaling, augment=augment_of(study))


def runs(study: Study, folder: Path, task: ImageTask, compute: Compute, cache: Cache) -> list[Entry]:
    """Return all runs of one task from one finished point: each LR with each seed, or a probe with each seed."""
    settings, family = study.finetune.of(task.task.name), families.load(study.target.family)
    own, name = of_task(settings, task.task.files) | {"images": VERSION}, task.task.name
    if settings.protocol == "probe":
        prober = Prober(family, folder, compute, study.finetune.threads)
        return [cache.once(f"probe-{name}-{seed}", own, partial(prober.fit, task, seed)) for seed in settings.seeds]
    begin = functools.cache(lambda: Start.of(family, folder, task, settings.dropout, compute))
    return [
        cache.once(f"{name}-{lr}-{seed}", own, partial(_fit, begin, task, settings, lr, seed))
        for lr in settings.rates
        for seed in settings.seeds
    ]


@dataclass(frozen=True)
class Start:
    """What every run of a task starts from. model: on its device. weights: a copy of its weights."""

    model: Any
    weights: dict[str, Tensor]
    compute: Compute

    @classmethod
    def of(cls, family: Family, folder: Path, task: ImageTask, dropout: float, compute: Compute) -> "Start":
        """Return the stock model of a checkpoint with a new head for a task."""
        names = dict(enumerate(task.task.labels or ()))
        model = family.model_class().from_pretrained(
            folder, id2label=names, ignore_mismatched_sizes=True, **family.dropout(dropout)
        )
        model = kernels.choose(compute.place(model))
        return cls(model, {name: value.clone() for name, value in model.state_dict().items()}, compute)

    def logits(self, pixels: Tensor) -> Tensor:
        """Return the logits [B, classes] of inputs [B, C, H, W] of any size."""
        given = pixels.to(self.compute.device, dtype=next(self.model.parameters()).dtype)
        with self.compute.cast():
            found: Tensor = self.model(pixel_values=given, interpolate_pos_encoding=True).logits
        return found.float()


def _fit(begin: Callable[[], Start], task: ImageTask, settings: FinetuneConfig, lr: float, seed: int) -> Entry:
    """Train with these settings and return the run's entry. A run fails if its loss is not finite or its predictions are constant."""
    began, start = time.perf_counter(), begin()
    start.model.load_state_dict(start.weights)
    renew(start.model, seed)

    def loss(step: int, rows: np.ndarray) -> Tensor:
        pixels = task.scaling.inputs(task.augment.apply(task.train.pixels[rows], seed, step))
        labels = torch.from_numpy(task.train.labels[rows]).to(start.compute.device)
        return torch.nn.functional.cross_entropy(start.logits(pixels), labels)

    finite = descend(start.model, _order(len(task.train), settings, seed), settings, lr, loss)
    start.model.eval()
    with torch.no_grad():
        found = [start.logits(pixels).argmax(-1).cpu().numpy() for pixels in _batches(task, task.dev)]
    own: Entry = {"epochs": settings.epochs, "lr": lr, "batch": settings.batch}
    own["flops"] = cost(start.model.config, task, settings)
    made = task.entry(np.concatenate(found), seed, began, **own)
    return made | {"failed": made["failed"] or not finite}


def cost(config: Any, task: ImageTask, settings: FinetuneConfig) -> float:
    """Return the FLOPs of the steps of a fine-tuning. config: of the model, with the task's head."""
    family = families.of(config)
    full, rest = divmod(len(task.train), settings.batch)
    pixels = Pixels(size=task.train.pixels.shape[1], patch=config.patch_size, classes=task.task.num_labels)
    spec = family.spec(config).resized(max_length=pixels.patches + family.tokens)

    def of(batch: int) -> float:
        return flops.step(
            spec, family, batch=batch, length=spec.max_length, positions=1, classes=pixels.classes,
            patch_values=pixels.patch_values,
        ).flops  # fmt: skip

    return settings.epochs * (full * of(settings.batch) + (of(rest) if rest else 0.0))


def _order(count: int, settings: FinetuneConfig, seed: int) -> list[np.ndarray]:
    """Return the numbers of the images of each step. count: of all training images."""
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(count) for _ in range(settings.epochs)]
    return [np.sort(order[i : i + settings.batch]) for order in orders for i in range(0, count, settings.batch)]


def _batches(task: ImageTask, images: Images) -> Iterator[Tensor]:
    """Yield inputs, unchanged and in order."""
    for first in range(0, len(images), EVAL_BATCH):
        yield task.scaling.inputs(images.pixels[first : first + EVAL_BATCH])


@dataclass(frozen=True)
class Prober:
    """The frozen model of one finished point. threads: CPU threads of the linear models."""

    family: Family
    folder: Path
    compute: Compute
    threads: int

    def fit(self, task: ImageTask, seed: int) -> Entry:
        """Probe a task and return the run's entry."""
        began, model = time.perf_counter(), self.family.model_class().from_pretrained(self.folder)
        with threadpool_limits(self.threads):
            shown, strength = self._predict(task, partial(self._features, task, model), seed)
            fresh = functools.cache(lambda: self.family.build(model.config, seed=seed))
            floors = {
                "random_model": self._floor(
                    task, str(self.family.spec(model.config)), lambda i: self._features(task, fresh(), i), seed
                ),
                "bag_of_words": self._floor(task, "pixels", lambda images: _flat(task, images), seed),
            }
        return task.entry(shown, seed, began, floors=floors, strength=strength, epochs=0, lr=0.0, batch=None)

    def _predict(self, task: ImageTask, of: Callable[[Images], np.ndarray], seed: int) -> tuple[np.ndarray, float]:
        """Return a linear model's predictions on the dev images, and its strength. of: their features."""
        score = partial(_accuracy, task)
        return linear.predict(of(task.train), task.train.labels, of(task.dev), regression=False, seed=seed, score=score)

    def _floor(self, task: ImageTask, key: str, of: Callable[[Images], np.ndarray], seed: int) -> float:
        """Return the accuracy with other features, which are measured once for all models of a job. key: names them."""
        if (key, seed) not in task.known:
            task.known[key, seed] = _accuracy(task, self._predict(task, of, seed)[0], task.dev.labels)
        return task.known[key, seed]

    @torch.no_grad()
    def _features(self, task: ImageTask, model: Any, images: Images) -> np.ndarray:
        """Return the class token's last state of each image, [images, hidden]."""
        model = kernels.choose(self.compute.place(model)).eval()
        kind, found = next(model.parameters()).dtype, []
        for pixels in _batches(task, images):
            with self.compute.cast():
                given = pixels.to(self.compute.device, dtype=kind)
                hidden = model.base_model(pixel_values=given, interpolate_pos_encoding=True).last_hidden_state
            found.append(hidden[:, 0].float().cpu().numpy())
        return np.concatenate(found)


def _flat(task: ImageTask, images: Images) -> np.ndarray:
    """Return the pixels of each image as one row, [images, values]."""
    return np.concatenate([pixels.flatten(1).numpy() for pixels in _batches(task, images)])


def _accuracy(task: ImageTask, predicted: np.ndarray, labels: np.ndarray) -> float:
    return results(task.task, predicted, labels)[task.task.main]
