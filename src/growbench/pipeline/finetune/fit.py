"""One fine-tuning run: AdamW, linear decay with warm-up, from the same start each time."""

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from growbench.pipeline.finetune.ready import Tokenised
from growbench.pipeline.finetune.rows import batches, collate
from growbench.train import checkpoint

NEW = ("classifier", "score", "pooler", "qa_outputs")  # parts of the stock models that start anew
CLIP = 1.0


@dataclass(frozen=True)
class Start:
    """A model on its device, the weights that every run starts from, and the padding id."""

    model: Any
    weights: dict[str, Tensor]
    pad: int
    device: torch.device


def start(model: Any, pad: int) -> Start:
    """Put a model on the device and keep its weights."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = model.to(device)
    return Start(model, {name: value.clone() for name, value in model.state_dict().items()}, pad, device)


def fit(begin: Start, ready: Tokenised, own: Any, lr: float, seed: int) -> dict[str, Any]:
    """Train with these settings and return the run's record. A run with a constant prediction or a loss that is not
    finite is marked as failed.
    """
    begun, model = time.perf_counter(), begin.model
    model.load_state_dict(begin.weights)
    _renew(model, seed)
    finite = _train(begin, ready, own, lr, seed)
    model.eval()
    with torch.no_grad():
        found = ready.score(model, begin.pad, begin.device)
    task, (n_train, n_dev) = ready.task, ready.counts
    return {
        "task": task.name, "seed": seed, "n_train": n_train, "n_dev": n_dev, "subset": task.subset,
        "metrics": found.metrics, "main_metric": task.main, "score": found.metrics[task.main],
        "majority": ready.majority(), "failed": not finite or not found.finite or found.constant,
        "epochs": own.epochs, "lr": lr, "batch": own.batch, "seconds": round(time.perf_counter() - begun, 2),
    }  # fmt: skip


def _renew(model: Any, seed: int) -> None:
    """Draw the head (and the pooler) from the seed."""
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if any(part in name for part in NEW):
            torch.nn.init.normal_(parameter, std=0.02) if parameter.dim() > 1 else torch.nn.init.zeros_(parameter)


def share(step: int, steps: int, warmup: float, decay: str) -> float:
    """Return the share of the peak LR at a step: a linear rise over `warmup` of the steps, then a fall to 0 at their end."""
    warm = max(1, round(warmup * steps))
    left = (steps - step) / max(1, steps - warm)
    if decay == "cosine" and left < 1:
        left = (1 - math.cos(math.pi * left)) / 2
    return min((step + 1) / warm, left)


def _train(begin: Start, ready: Tokenised, own: Any, lr: float, seed: int) -> bool:
    """Train the model; return whether the loss (looked at every 50 steps) was finite."""
    model, device, finite = begin.model, begin.device, True
    opt = checkpoint.optimizer(model, lr=lr, betas=(0.9, 0.999), weight_decay=own.weight_decay)
    rng = np.random.default_rng(seed)
    plan = [rows for _ in range(own.epochs) for rows in batches(ready.train, own.batch, rng)]
    model.train()
    for step, rows in enumerate(plan):
        for group in opt.param_groups:
            group["lr"] = lr * share(step, len(plan), own.warmup, own.decay)
        opt.zero_grad(set_to_none=True)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
            loss = ready.loss(model, collate(ready.train, rows, begin.pad, device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        opt.step()
        finite = finite and (step % 50 != 0 or math.isfinite(float(loss.detach())))
    return finite
