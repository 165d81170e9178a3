"""The processes that train one model together, started by torchrun: each takes an equal share of every batch.

A step's batch follows from (seed, step) alone. It is split into `processes x accumulate` micro-batches with the same
number of rows, each of which predicts the same number of positions. The mean over micro-batches is therefore the mean
over the batch, for losses and gradients alike. Only rounding depends on the number of processes.

Gradients are averaged after the backward pass, not by DistributedDataParallel. The loop calls backbone and head
rather than the model, a step may run some of the layers (train/variants/submodel.py), and a stage may keep the
previous stage's model.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from growbench.errors import GrowBenchError
from growbench.runtime import launch
from growbench.train.objective import Batch

T = TypeVar("T")
BUCKET = 64 * 2**20  # bytes of gradients that are averaged at once
PATIENCE = timedelta(minutes=30)  # the others wait while one process writes a checkpoint or shuffles an epoch
BROKEN = ("gloo", "nccl", "connection closed", "connection reset")  # words in errors that have no class of their own


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those that train together. Only the first one writes files and progress.

    rank: number of this process, from 0.
    count: number of processes.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        return self.rank == 0

    @property
    def together(self) -> bool:
        """Whether there are other processes."""
        return self.count > 1

    def share(self, batch: Batch, accumulate: int) -> Iterator[tuple[int, Batch]]:
        """Yield this process's micro-batches of a step's batch, each with its number within the whole batch."""
        pieces = self.count * accumulate
        for number in range(self.rank * accumulate, (self.rank + 1) * accumulate):
            yield number, batch.piece(number, pieces)

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace the gradients by their means over the processes; all have gradients of the same parameters."""
        if not self.together:
            return
        sent = []
        for bucket in _buckets([p.grad for p in parameters if p.grad is not None]):
            flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
            sent.append((bucket, flat, dist.all_reduce(flat, async_op=True)))
        for bucket, flat, work in sent:
            work.wait()
            pieces = flat.div_(self.count).split([gradient.numel() for gradient in bucket])
            torch._foreach_copy_(bucket, [p.view_as(g) for p, g in zip(pieces, bucket, strict=True)])

    def align(self, tensors: Iterable[Tensor]) -> None:
        """Copy the first process's values to all others, in place."""
        for tensor in tensors if self.together else ():
            dist.broadcast(tensor.detach(), 0)

    def total(self, values: Sequence[float]) -> list[float]:
        """Return sums over the processes, bit for bit the same in each."""
        if not self.together:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(sums)
        return [float(value) for value in sums]

    def mean(self, value: float) -> float:
        return self.total([value])[0] / self.count if self.together else value

    def agree(self, answer: bool) -> bool:
        """Return whether any process answers yes; clocks and signals differ between processes."""
        return any(self.total([float(answer)]))

    def in_turn(self, work: Callable[[], T]) -> T:
        """Return what `work` returns. The first process, which may write files, does it before the others."""
        if not self.first:
            self.wait()
        found = work()
        if self.first:
            self.wait()
        self.wait()
        return found

    def wait(self) -> None:
        """Wait until every process has called this."""
        if self.together:
            self.total([0.0])


ALONE = Ranks()


def _buckets(gradients: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    size = 0
    for gradient in gradients:
        bucket.append(gradient)
        size += gradient.numel() * gradient.element_size()
        if size >= BUCKET:
            yield bucket
            bucket, size = [], 0
    if bucket:
        yield bucket


def place() -> Ranks:
    """Return this process's rank as torchrun set it; ALONE without torchrun."""
    return Ranks(launch.rank(), int(os.environ.get("WORLD_SIZE", "1")))


@contextmanager
def joined(batch: int, accumulate: int, device: torch.device) -> Iterator[Ranks]:
    """Join the other processes, if there are any, and leave them at the end.

    batch: sequences per step. accumulate: micro-batches per process. device: of this process.
    Raises GrowBenchError if a batch does not split evenly, or if another process ends early.
    """
    ranks = place()
    launch.check_split(batch, ranks.count, accumulate, f"{ranks.count} process(es)")
    if not ranks.together:
        yield ranks
        return
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
        yield ranks
        ranks.wait()
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and not any(word in str(error).lower() for word in BROKEN):
            raise
        raise GrowBenchError(launch.LOST) from error
    dist.destroy_process_group()
