"""Which process the others wait for: one slow node makes every step of a run slow, and nothing else shows which one it is."""

import logging
import os
import socket
import statistics
import time

import torch.distributed as dist
from torch import Tensor, nn

from growbench.families import Family
from growbench.train.loop import Measure
from growbench.train.objective import Batch
from growbench.train.processes.ranks import Ranks

log = logging.getLogger(__name__)
SLOW = 1.5  # times the median of the others
TURNS = 2  # evaluations in a row until it is said


class Pace:
    """Compares how long each process takes for its share of an evaluation, in which none waits for another.

    In a training step all processes take the same time, that of the slowest. Where the processes gather parameters in every
    layer, they also wait for each other in an evaluation, and nothing is found.
    """

    def __init__(self, name: str, ranks: Ranks) -> None:
        """Begin. name: of the run, in the log. ranks: its processes."""
        self.name, self.ranks, self.seconds = name, ranks, 0.0
        self.slowest, self.turns = 0, 0

    def timed(self, measure: Measure) -> Measure:
        """Return a measure that adds up the seconds that it takes, until the device is done."""

        def value(family: Family, model: nn.Module, batch: Batch) -> Tensor:
            began = time.perf_counter()
            found = measure(family, model, batch).cpu()
            self.seconds += time.perf_counter() - began
            return found

        return value if self.ranks.together else measure

    def compare(self) -> None:
        """End an evaluation, and log a process that was much slower than the others in the last ones; all must call this."""
        if not self.ranks.together:
            return
        seconds = self.ranks.total([self.seconds * (rank == self.ranks.rank) for rank in range(self.ranks.count)])
        self.seconds = 0.0
        slowest = max(range(len(seconds)), key=seconds.__getitem__)
        others = statistics.median(seconds[:slowest] + seconds[slowest + 1 :])
        again = seconds[slowest] > SLOW * others
        self.turns = (self.turns + 1 if slowest == self.slowest else 1) if again else 0
        self.slowest = slowest
        if self.turns == TURNS:
            self._tell(slowest, seconds[slowest] / others)

    def _tell(self, slowest: int, times: float) -> None:
        places: list[str] = [""] * self.ranks.count
        dist.all_gather_object(places, os.environ.get("SLURMD_NODENAME") or socket.gethostname())
        if self.ranks.first:
            log.warning(
                "%s: process %d of %d, on node %s, takes %.1f times as long as the others for the same work; all wait for it",
                self.name, slowest, self.ranks.count, places[slowest], times,
            )  # fmt: skip
