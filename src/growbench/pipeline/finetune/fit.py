"""One fine-tuning run: AdamW with warm-up and decay to zero, always from the same weights."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from growbench.pipeline.finetune import cost
from growbench.pipeline.finetune.cache import HELD_OUT
from growbench.pipeline.finetune.rows import Encoded, collate, order
from growbench.pipeline.finetune.tokenized import TokenizedTask
from growbench.study.sections import FinetuneConfig
from growbench.train import kernels
from growbench.train.device import Compute
from growbench.train.optimizer import adamw, set_lr

NEW = ("classifier", "score", "pooler", "qa_outputs")  # parts of the stock models with new random weights
CLIP = 1.0


@dataclass(frozen=True)
class Start:
    """What every run of a task starts from.

    model: the model, on its device.
    weights: a copy of its weights.
    pad: the padding id.
    compute: where and in which numbers it computes.
    """

    model: Any
    weights: dict[str, Tensor]
    pad: int
    compute: Compute


def start(model: Any, pad: int, compute: Compute) -> Start:
    """Move a model to its device, choose its kernels, and copy its weights."""
    model = kernels.choose(compute.place(model))
    return Start(model, {name: value.clone() for name, value in model.state_dict().items()}, pad, compute)


def fit(begin: Start, task: TokenizedTask, settings: FinetuneConfig, lr: float, seed: int) -> dict[str, Any]:
    """Train with these settings and return the run's entry in the record.

    A run fails if its loss is not finite or all of its predictions are the same.
    """
    began, model = time.perf_counter(), begin.model
    model.load_state_dict(begin.weights)
    renew(model, seed)

    def loss(step: int, rows: np.ndarray) -> Tensor:
        with begin.compute.cast():
            return task.loss(model, collate(task.train, rows, begin.pad, begin.compute.device))

    finite = descend(model, order(task.train, settings.batch, settings.epochs, seed), settings, lr, loss)
    model.eval()
    with torch.no_grad(), begin.compute.cast():
        found = task.score(model, begin.pad, begin.compute.device)
        others = {
            name: replace(task, dev=rows).score(model, begin.pad, begin.compute.device).metrics[task.task.main]
            for name, rows in _others(task).items()
        }
    about, held_out = task.task, dict[str, Any]()
    if task.aside:
        held_out = {"n_held_out": len(task.aside.labels), HELD_OUT: others.pop(HELD_OUT)}
    return {
        "task": about.name, "seed": seed, **task.rows, "subset": about.subset,
        "metrics": found.metrics | others, "main_metric": about.main, "score": found.metrics[about.main],
        "majority": task.majority(), "failed": not finite or not found.finite or found.constant,
        "epochs": settings.epochs, "lr": lr, "batch": settings.batch, "seconds": round(time.perf_counter() - began, 2),
        "flops": cost.of(model.config, task, settings, seed), "predictions": found.predictions, **held_out,
    }  # fmt: skip


def _others(task: TokenizedTask) -> dict[str, Encoded]:
    """Return the rows besides dev on which the main metric is measured, by name: those held out, and a second dev set."""
    found = {HELD_OUT: task.aside}
    if task.task.second:
        found[task.task.second[0]] = task.second
    return {name: rows for name, rows in found.items() if rows is not None}


def renew(model: Any, seed: int) -> None:
    """Draw the weights of the head (and the pooler) from the seed."""
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if any(part in name for part in NEW):
            torch.nn.init.normal_(parameter, std=0.02) if parameter.dim() > 1 else torch.nn.init.zeros_(parameter)


def share(step: int, steps: int, warmup: float, decay: str) -> float:
    """Return the LR at a step as a share of its peak.

    It rises linearly for a share `warmup` of the steps, then falls to 0.
    """
    warm = max(1, round(warmup * steps))
    left = (steps - step) / max(1, steps - warm)
    if decay == "cosine" and left < 1:
        left = (1 - math.cos(math.pi * left)) / 2
    return min((step + 1) / warm, left)


def descend(
    model: Any,
    schedule: Sequence[np.ndarray],
    settings: FinetuneConfig,
    lr: float,
    loss: Callable[[int, np.ndarray], Tensor],
) -> bool:
    """Train a model; return whether its loss, checked every 50 steps, was finite.

    schedule: the numbers of the rows of each step. loss: returns the loss of a step on these rows.
    """
    opt, finite = adamw(model, betas=(0.9, 0.999), weight_decay=settings.weight_decay), True
    model.train()
    for step, rows in enumerate(schedule):
        set_lr(opt, lr * share(step, len(schedule), settings.warmup, settings.decay))
        opt.zero_grad(set_to_none=True)
        found = loss(step, rows)
        found.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        opt.step()
        finite = finite and (step % 50 != 0 or math.isfinite(float(found.detach())))
    return finite
