"""The ledger: what each phase and stage of a run cost."""

import resource
from dataclasses import dataclass, field
from typing import Any

import torch

SUMS = ("flops", "flops_electra", "tokens", "steps", "wall_seconds", "cpu_seconds")


@dataclass
class Ledger:
    """What a run cost.

    entries: one per (phase, stage): FLOPs in both conventions, tokens, steps, seconds, and peak memory in MB.
    """

    entries: list[dict[str, Any]] = field(default_factory=list)

    def add(self, phase: str, stage: int, **amounts: float) -> None:
        """Add amounts to the entry of (phase, stage) and update its peak memory."""
        entry = self._entry(phase, stage)
        for key, value in amounts.items():
            entry[key] += value
        entry["peak_memory_mb"] = max(entry["peak_memory_mb"], peak_memory_mb())

    def _entry(self, phase: str, stage: int) -> dict[str, Any]:
        for entry in self.entries:
            if entry["phase"] == phase and entry["stage"] == stage:
                return entry
        self.entries.append({"phase": phase, "stage": stage, **dict.fromkeys(SUMS, 0), "peak_memory_mb": 0})
        return self.entries[-1]


def peak_memory_mb() -> float:
    """Peak memory of this process so far: on the GPU if it uses one, else in RAM."""
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
