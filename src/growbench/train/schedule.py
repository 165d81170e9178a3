"""Learning rate as a function of the FLOPs spent."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Schedule:
    """peak: LR after warm-up. warmup, total: FLOPs. trunk keeps the peak; paper decays linearly to 0 at total."""

    peak: float
    warmup: float
    total: float
    protocol: Literal["trunk", "paper"]

    def lr(self, spent: float, step_flops: float) -> float:
        """LR of the step that starts after `spent` FLOPs and costs `step_flops`."""
        after = spent + step_flops
        if after < self.warmup:
            return self.peak * after / self.warmup
        if self.protocol == "trunk":
            return self.peak
        return self.peak * max(0.0, (self.total - spent) / (self.total - self.warmup))

    def lr_of_step(self, spent: float, step_flops: float, step: int) -> float:
        """LR of step 0, 1, ... of equal steps after `spent` FLOPs."""
        return self.lr(spent + step * step_flops, step_flops)


def cooldown(lr: float, steps: int, step: int) -> float:
    """LR of step 0 .. steps - 1 of a linear decay from `lr` that would be 0 at step `steps`."""
    return lr * (steps - step) / (steps + 1)
