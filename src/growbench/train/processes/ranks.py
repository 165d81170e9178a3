"""The processes that train one model together, as torchrun starts them: each takes an equal share of every batch.

A step's batch is made from (seed, step) alone and cut into `processes x accumulate` micro-batches of equally many rows, each
of which predicts equally many positions. The mean over micro-batches is therefore the mean over the batch, of losses and of
gradients, and only rounding tells how many processes there were.

Gradients are averaged after the backward pass, not by the wrapper of DistributedDataParallel: the loop runs trunk and head
rather than the model, steps may run a part of the layers (train/variants/submodel.py), and a stage may keep the model of the one before.
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
PATIENCE = timedelta(minutes=30)  # one process writes a checkpoint or draws an epoch's order while the others wait
BROKEN = ("gloo", "nccl", "connection closed", "connection reset")  # in the errors that have no class of their own


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process's place among `count`; the first one, 0, alone writes files and progress."""

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
        """Replace the gradients by their means over processes, which all have gradients of the same parameters."""
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
        """Give every process the first one's values, in place."""
        for tensor in tensors if self.together else ():
            dist.broadcast(tensor.detach(), 0)

    def total(self, values: Sequence[float]) -> list[float]:
        """Sums over processes, the same bits in each of them."""
        if not self.together:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(sums)
        return [float(value) for value in sums]

    def mean(self, value: float) -> float:
        return self.total([value])[0] / self.count if self.together else value

    def agree(self, answer: bool) -> bool:
        """Whether any process says yes to what each would answer by its own clock, or by the signals it got."""
        return any(self.total([float(answer)]))

    def in_turn(self, work: Callable[[], T]) -> T:
        """What `work` returns: it is done by the first process, which may put files in order, before all others."""
        if not self.first:
            self.wait()
        found = work()
        if self.first:
            self.wait()
        self.wait()
        return found

    def wait(self) -> None:
        """Wait until every process has come here."""
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
    """Where torchrun has put this process; alone without it."""
    return Ranks(launch.rank(), int(os.environ.get("WORLD_SIZE", "1")))


def device(wanted: str) -> torch.device:
    """This process's device. wanted: auto (a GPU where there is one), cpu or gpu. Raises GrowBenchError where a GPU is wanted
    and missing, or there are fewer of them than processes on this machine.
    """
    there = torch.cuda.device_count() if wanted != "cpu" else 0
    if wanted == "gpu" and not there:
        raise GrowBenchError("train.device: gpu, but no GPU is seen here; use a machine with one, or auto")
    if not there:
        return torch.device("cpu")
    local, beside = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if beside > there:
        raise GrowBenchError(
            f"train.processes: {beside} on a machine with {there} GPU(s); one process needs one, so use at most {there}"
        )
    torch.cuda.set_device(local)
    return torch.device("cuda", local)


@contextmanager
def joined(batch: int, accumulate: int) -> Iterator[Ranks]:
    """Join the other processes, if there are any, and leave them at the end. batch: sequences per step.

    Raises GrowBenchError where a batch does not split evenly, and where another process is lost on the way.
    """
    ranks = place()
    launch.check_split(batch, ranks.count, accumulate, f"{ranks.count} process(es)")
    if not ranks.together:
        yield ranks
        return
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
        yield ranks
        ranks.wait()
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and not any(word in str(error).lower() for word in BROKEN):
            raise
        raise GrowBenchError(launch.LOST) from error
    dist.destroy_process_group()
