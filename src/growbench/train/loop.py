"""The training loop: steps of one model under one objective, counted in FLOPs."""

import logging
import math
import resource
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Protocol

import torch
from torch import nn

from growbench.families import Family, embeddings_path, layers_path
from growbench.plan import flops
from growbench.plan.lengths import after_cut
from growbench.train.data import PackedSequences
from growbench.train.objective import Batch, Objective, loss
from growbench.train.processes.ranks import ALONE, Ranks
from growbench.train.processes.shard import Root, clip
from growbench.train.segment import READ, Diverged, Segment
from growbench.train.variants import pool
from growbench.train.variants.submodel import SubModel, drawn, only
from growbench.train.variants.teacher import Teacher

log = logging.getLogger(__name__)
PIECE = 2**40 + 15  # between the random streams of a step's micro-batches


@dataclass
class Ledger:
    """What each (phase, stage) cost."""

    entries: list[dict[str, Any]] = field(default_factory=list)

    def add(self, phase: str, stage: int, **amounts: float) -> None:
        """Add amounts to the entry of (phase, stage); peak_memory_mb is a maximum, the rest are sums."""
        for entry in self.entries:
            if entry["phase"] == phase and entry["stage"] == stage:
                break
        else:
            zero = dict.fromkeys(("flops", "flops_electra", "tokens", "steps", "wall_seconds", "cpu_seconds"), 0)
            entry = {"phase": phase, "stage": stage, **zero, "peak_memory_mb": 0}
            self.entries.append(entry)
        for key, value in amounts.items():
            entry[key] += value
        entry["peak_memory_mb"] = max(entry["peak_memory_mb"], peak_memory_mb())


def peak_memory_mb() -> float:
    """Peak memory so far: of the GPU where there is one, else of the process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Lifted(Protocol):
    """Masks over a part of the model, lifted during training."""

    def set(self, share: float) -> None:
        """Show this share of the masked part."""

    def remove(self) -> None:
        """Leave the stock model behind."""


@dataclass
class Trainer:
    """A model in training. objective makes batches from windows; step numbers choose data and masked tokens.

    submodels: the kinds of step, drawn in turn from step `entered` on; empty trains the whole model. pool: tokens averaged
    into one embedding. cut: only the first 1/cut of every sequence is read. teacher: a smaller model that is imitated.
    ranks, accumulate: the processes that share a step's batch, and the micro-batches that each takes of it. root: of a model
    that is split over them.
    limit: the mean loss beyond which training has diverged, nats.
    """

    family: Family
    model: nn.Module
    opt: torch.optim.Optimizer
    objective: Objective
    windows: PackedSequences
    batch: int
    seed: int
    cost: flops.StepCost
    clip: float | None
    autocast: bool = False
    masks: Lifted | None = None
    submodels: tuple[SubModel, ...] = ()
    pool: int = 1
    cut: int = 1
    teacher: Teacher | None = None
    entered: int = 0
    limit: float = math.inf
    ranks: Ranks = ALONE
    accumulate: int = 1
    root: Root | None = None

    @cached_property
    def parameters(self) -> list[nn.Parameter]:
        """The model's parameters, which stay the same while it trains."""
        return list(self.model.parameters())

    @property
    def device(self) -> torch.device:
        return self.parameters[0].device

    def step(self, number: int, lr: float) -> torch.Tensor:
        """Take optimizer step `number` at this LR; return this process's share of the training loss (nats), the mean over
        processes being the batch's, without waiting for the device.
        """
        ids = self.windows.batch(number, self.batch)[:, : after_cut(self.windows.length, self.cut)]
        batch = self.objective.batch(ids, self.seed, number)
        for group in self.opt.param_groups:
            group["lr"] = lr
        self.opt.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device, dtype=self.dtype)
        for piece, rows in self.ranks.share(batch, self.accumulate):
            total += self._gradients(number, piece, rows.to(self.device))
        if self.root is None:
            self.ranks.average(self.parameters)
        if self.clip is not None:
            clip(self.parameters, self.clip)
        self.opt.step()
        return total

    def _gradients(self, number: int, piece: int, rows: Batch) -> torch.Tensor:
        """Add the gradients of one micro-batch of a step, weighted by its share of this process's rows; return its loss so."""
        reseed(self.device, (self.seed * 1_000_003 + number + piece * PIECE) % 2**63)  # of dropout
        with self._part(number), precision(self.device, self.autocast):
            value = self.value(rows, self._loss) / self.accumulate
        value.backward()
        return value.detach()

    def _loss(self, batch: Batch) -> torch.Tensor:
        if self.teacher is not None:
            return self.teacher.loss(self.model, batch)
        if self.pool > 1:
            return pool.loss(self.family, self.model, self.embeddings, batch, self.pool)
        return loss(self.family, self.model, batch)

    def value(self, batch: Batch, function: Callable[[Batch], torch.Tensor]) -> torch.Tensor:
        """A function's value at a batch; parameters that are split over processes are gathered for it."""
        return function(batch) if self.root is None else self.root(partial(function, batch))

    @property
    def dtype(self) -> torch.dtype:
        """What losses are added up in."""
        return torch.promote_types(self.parameters[0].dtype, torch.float32)

    def _part(self, number: int) -> AbstractContextManager[None]:
        """What of the model runs and learns at step `number`."""
        if not self.submodels:
            return nullcontext()
        return only(self.model, self.layers, drawn(self.submodels, self.seed, number - self.entered))

    @cached_property
    def embeddings(self) -> str:
        """The module path of the embeddings."""
        return embeddings_path(self.family.roles(self.model.config))

    @cached_property
    def layers(self) -> str:
        """The module path of the model's list of layers."""
        return layers_path(self.family.roles(self.model.config))

    def run(
        self,
        first: int,
        count: int,
        lr: Callable[[int], float],
        segment: Segment,
        before: Callable[[int], None] = lambda i: None,
        pause: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take the steps of a segment of `count` that are not done yet, its first numbered `first`; return early after a step
        where `pause` says so. Raises Diverged. The loss is read every READ steps, and before every return.

        lr: that of the segment's i-th step. before: called with i before it.
        """
        total, unread = torch.zeros((), dtype=torch.float64, device=self.device), 0
        while segment.done < count:
            before(segment.done)
            total += self.step(first + segment.done, lr(segment.done))
            segment.done, unread = segment.done + 1, unread + 1
            stop = segment.done == count or pause()
            if stop or unread == READ:
                passed = self.ranks.mean(float(total))
                if not (math.isfinite(passed) and passed / unread <= self.limit):
                    raise Diverged(f"the loss is {passed / unread:.4g} at step {first + segment.done - 1}")
                segment.loss += passed
                total.zero_()
                unread = 0
            if stop:
                return


def reseed(device: torch.device, seed: int) -> None:
    """Seed the generators that a step draws from; torch.manual_seed asks every kind of accelerator there is each time."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def precision(device: torch.device, bf16: bool) -> Any:
    return torch.autocast(device.type, dtype=torch.bfloat16) if bf16 else nullcontext()


@torch.no_grad()
def evaluate(trainer: Trainer, batches: list[Batch]) -> float:
    """Mean validation loss in nats over fixed batches of equal size, which processes take in turns."""
    ranks, values = trainer.ranks, [0.0] * len(batches)
    trainer.model.eval()
    with precision(trainer.device, trainer.autocast):
        for first in range(0, len(batches), ranks.count):
            own = first + ranks.rank
            batch = batches[min(own, len(batches) - 1)].to(
                trainer.device
            )  # where nothing is left, to gather with the rest
            value = float(trainer.value(batch, partial(loss, trainer.family, trainer.model)))
            if own < len(batches):
                values[own] = value
    trainer.model.train()
    return sum(ranks.total(values)) / len(batches)


class Clock:
    """Wall seconds, and CPU seconds of all processes, since the last reading."""

    def __init__(self, ranks: Ranks = ALONE) -> None:
        self.ranks, self.wall, self.cpu = ranks, time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        seconds = self.ranks.total([cpu - self.cpu])[0]
        passed = {"wall_seconds": round(wall - self.wall, 3), "cpu_seconds": round(seconds, 3)}
        self.wall, self.cpu = wall, cpu
        return passed
