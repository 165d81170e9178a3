"""The processes that train one model together, started by torchrun: each takes an equal share of every batch.

A step's batch follows from (seed, step) alone. It is split into `processes x accumulate` micro-batches with the same
number of rows, each of which predicts the same number of positions. The mean over micro-batches is therefore the mean
over the batch, for losses and gradients alike. Only rounding depends on the number of processes.

Gradients are averaged while the last backward pass of a step still runs, by hooks. DistributedDataParallel does not know
the second backward pass of a learned operator, and has to search the graph of a step that runs some of the layers; on
CPUs `replicate` overlaps with nothing. docs/LOG.md has the times.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from growbench.errors import GrowBenchError
from growbench.runtime import launch
from growbench.train.objective import Batch

T = TypeVar("T")
BUCKET = 25 * 2**20  # bytes of gradients that are averaged at once
PATIENCE = timedelta(minutes=30)  # the others wait while one process writes a finished point or shuffles an epoch
BROKEN = ("gloo", "nccl", "connection closed", "connection reset")  # words in errors that have no class of their own


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those that train together. Only the first one writes files and progress, parts of checkpoints apart.

    rank: number of this process, from 0.
    count: number of processes.
    beside: the group in which they agree on what goes on beside the training; None alone.
    """

    rank: int = 0
    count: int = 1
    beside: dist.ProcessGroup | None = None

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

    @contextmanager
    def averaging(self, parameters: Iterable[nn.Parameter]) -> Iterator[None]:
        """Average over the processes the gradients that the backward passes of this context complete, while those still run.

        A bucket is sent as soon as it is full. All processes run the same graph, so gradients arrive in the same order.
        """
        if not self.together:
            yield
            return
        buckets = _Buckets(self.count)
        hooks = [p.register_post_accumulate_grad_hook(buckets.add) for p in parameters if p.requires_grad]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
        buckets.average()

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


class _Buckets:
    """Gradients on their way: parameters whose gradients are collected, and buckets that are being added up."""

    def __init__(self, count: int) -> None:
        self.count, self.size = count, 0
        self.waiting: list[Tensor] = []
        self.sent: list[tuple[list[Tensor], Tensor, Any]] = []

    def add(self, parameter: Tensor) -> None:
        """Take a gradient that is complete, and send the bucket if it is full."""
        self.waiting.append(parameter)
        self.size += parameter.numel() * parameter.element_size()
        if self.size >= BUCKET:
            self._send()

    def average(self) -> None:
        """Send what is left, wait for all buckets, and make the gradients views of them."""
        if self.waiting:
            self._send()
        for parameters, flat, work in self.sent:
            work.wait()
            pieces = flat.div_(self.count).split([p.numel() for p in parameters])
            for parameter, piece in zip(parameters, pieces, strict=True):
                parameter.grad = piece.view_as(parameter)

    def _send(self) -> None:
        flat = torch.cat([p.grad.reshape(-1) for p in self.waiting if p.grad is not None])
        self.sent.append((self.waiting, flat, dist.all_reduce(flat, async_op=True)))
        self.waiting, self.size = [], 0


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
        yield replace(ranks, beside=dist.new_group(backend="gloo", timeout=PATIENCE))
        ranks.wait()
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and not any(word in str(error).lower() for word in BROKEN):
            raise
        raise GrowBenchError(launch.LOST) from error
    dist.destroy_process_group()
