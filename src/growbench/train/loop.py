"""The training loop: steps of one model under one objective, counted in FLOPs."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from torch import nn

from growbench.families import Family, embeddings_path, layers_path
from growbench.plan import flops
from growbench.train.batches import Batches
from growbench.train.device import Compute
from growbench.train.images import ImageBatches
from growbench.train.objective import Batch, loss, losses
from growbench.train.optimizer import set_lr
from growbench.train.processes.ranks import Ranks
from growbench.train.processes.shard import Root, clip
from growbench.train.segment import READ, Diverged, Segment
from growbench.train.variants import pool
from growbench.train.variants.submodel import drawn, only
from growbench.train.variants.variant import Variant
from growbench.train.windows import Windows

Measure = Callable[[Family, nn.Module, Batch], torch.Tensor]  # of each predicted position, [P]
PIECE = 2**40 + 15  # distance between the random streams of a step's micro-batches


@dataclass(kw_only=True)
class Trainer:
    """A model in training; build.trainer makes it.

    family: the model's.
    model: the model, on the device.
    opt: its optimizer.
    batches: what each step reads and predicts.
    cost: of one step, the mean over the kinds of step.
    clip: largest norm of the gradient; None does not clip.
    compute: where and in which numbers the model computes.
    variant: how its steps differ from plain training.
    ranks: the processes that share a step's batch.
    accumulate: micro-batches that each process takes of a batch.
    root: of a model that is split over the processes; None if it is not.
    """

    family: Family
    model: nn.Module
    opt: torch.optim.Optimizer
    batches: Batches | ImageBatches
    cost: flops.StepCost
    clip: float | None
    compute: Compute
    variant: Variant
    ranks: Ranks
    accumulate: int
    root: Root | None

    @cached_property
    def parameters(self) -> list[nn.Parameter]:
        """The model's parameters, which stay the same while it trains."""
        return list(self.model.parameters())

    @cached_property
    def embeddings(self) -> str:
        """The module path of the embeddings."""
        return embeddings_path(self.model)

    @cached_property
    def layers(self) -> str:
        """The module path of the model's list of layers."""
        return layers_path(self.family.roles(self.model.config))

    @property
    def dtype(self) -> torch.dtype:
        """The dtype in which losses are added up."""
        return torch.promote_types(self.parameters[0].dtype, torch.float32)

    def step(self, number: int, lr: float) -> torch.Tensor:
        """Take optimizer step `number` and return this process's share of its loss, in nats.

        The mean over the processes is the loss of the whole batch. Does not wait for the device.
        """
        batch = self.batches.of(number, self.variant.cut)
        set_lr(self.opt, lr)
        self.opt.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.compute.device, dtype=self.dtype)
        with ExitStack() as last, self._micro_batches():
            for place, (piece, rows) in enumerate(self.ranks.share(batch, self.accumulate), start=1):
                if place == self.accumulate and self.root is None:
                    last.enter_context(self.ranks.averaging(self.parameters))
                total += self._gradients(number, piece, rows.to(self.compute.device))
        if self.clip is not None:
            clip(self.parameters, self.clip)
        self.opt.step()
        return total

    def run(
        self,
        first: int,
        count: int,
        lr: Callable[[int], float],
        segment: Segment,
        *,
        limit: float = math.inf,
        before: Callable[[int], None] = lambda i: None,
        pause: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take the remaining steps of a segment, or return early after a step for which `pause` returns true.

        The loss is read every READ steps and before every return. Raises Diverged if it is not finite or above `limit`.

        first: number of the segment's first step. count: steps of the segment. lr: learning rate of its i-th step.
        limit: largest mean loss, in nats. before: called with i before the i-th step.
        """
        total, unread = torch.zeros((), dtype=torch.float64, device=self.compute.device), 0
        while segment.done < count:
            before(segment.done)
            total += self.step(first + segment.done, lr(segment.done))
            segment.done, unread = segment.done + 1, unread + 1
            stop = segment.done == count or pause()
            if stop or unread == READ:
                passed = self.ranks.mean(float(total))
                if not (math.isfinite(passed) and passed / unread <= limit):
                    raise Diverged(f"the loss is {passed / unread:.4g} at step {first + segment.done - 1}")
                segment.loss += passed
                total.zero_()
                unread = 0
            if stop:
                return

    def value(self, batch: Batch, function: Callable[[Batch], torch.Tensor]) -> torch.Tensor:
        """Return a function's value at a batch; parameters that are split over the processes are gathered for it."""
        return function(batch) if self.root is None else self.root(partial(function, batch))

    def _micro_batches(self) -> AbstractContextManager[None]:
        """Return the context in which the micro-batches of a step add up their gradients."""
        return nullcontext()

    def _gradients(self, number: int, piece: int, rows: Batch) -> torch.Tensor:
        """Add the gradients of one micro-batch and return its loss, both divided by the number of micro-batches."""
        reseed(self.compute.device, (self.batches.seed * 1_000_003 + number + piece * PIECE) % 2**63)  # for dropout
        with self._submodel(number), self.compute.cast():
            value = self.value(rows, self._loss) / self.accumulate
        value.backward()
        return value.detach()

    def _loss(self, batch: Batch) -> torch.Tensor:
        variant = self.variant
        if variant.teacher is not None:
            return variant.teacher.loss(self.model, batch)
        if variant.pool > 1:
            return pool.loss(self.family, self.model, self.embeddings, batch, variant.pool)
        return loss(self.family, self.model, batch)

    def _submodel(self, number: int) -> AbstractContextManager[None]:
        """Return the context in which the layers of step `number` run and learn."""
        submodels = self.variant.submodels
        if not submodels:
            return nullcontext()
        return only(self.model, self.layers, drawn(submodels, self.batches.seed, number - self.variant.entered))


def reseed(device: torch.device, seed: int) -> None:
    """Seed the generators that a step draws from; torch.manual_seed would ask every kind of accelerator each time."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


@torch.no_grad()
def evaluate(trainer: Trainer, windows: Windows, *, uncast: bool = False, measure: Measure | None = None) -> np.ndarray:
    """Return the loss of each document in nats, summed over its predicted tokens, [documents]; float64.

    The processes take the batches in turns. uncast: compute in the dtype of the weights, whatever the run trains in.
    measure: what is summed in the place of the loss; None: the loss.
    """
    ranks, count = trainer.ranks, len(windows.batches)
    nats = np.zeros(len(windows.numbers))
    trainer.model.eval()
    with nullcontext() if uncast else trainer.compute.cast():
        for first in range(0, count, ranks.count):
            own = first + ranks.rank  # a process without a batch of its own takes part in the gathering
            batch = windows.batches[min(own, count - 1)]
            value = partial(measure or losses, trainer.family, trainer.model)
            found = trainer.value(batch.to(trainer.compute.device), value).double().cpu().numpy()
            if own < count:
                nats += np.bincount(windows.places[own], weights=found, minlength=len(nats))
    trainer.model.train()
    return np.array(ranks.total(nats.tolist()))
