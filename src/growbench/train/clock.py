"""The clock of a run: seconds between two readings."""

import time

from growbench.train.processes.ranks import ALONE, Ranks


class Clock:
    """Measures wall seconds, and CPU seconds of all processes, since the last reading."""

    def __init__(self, ranks: Ranks = ALONE) -> None:
        self.ranks, self.wall, self.cpu = ranks, time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        """Return `wall_seconds` and `cpu_seconds` since the last reading; every process must call this."""
        wall, cpu = time.perf_counter(), time.process_time()
        seconds = self.ranks.total([cpu - self.cpu])[0]
        passed = {"wall_seconds": round(wall - self.wall, 3), "cpu_seconds": round(seconds, 3)}
        self.wall, self.cpu = wall, cpu
        return passed
