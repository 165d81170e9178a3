"""Learning rate as a function of the FLOPs spent.

    curve(F)    rises to the peak over the warm-up; then `trunk` keeps it, `paper` falls linearly to 0 at the total

A stage that began after F_0 FLOPs follows it by its policy:

    continue    curve(F)
    rewarm      curve(F) times a new warm-up from F_0 on
    shift       as rewarm, but read at another place: from shift * F_0 on, re-scaled to end where the curve ends. That is
                the place at which the grown model, trained from scratch, would stand (Staged Training, section 3.3)
"""

from dataclasses import dataclass
from typing import Literal

from growbench.plan.plan import Rate


@dataclass(frozen=True, slots=True)
class Schedule:
    """peak: LR after warm-up. warmup, total: FLOPs. policy, began, shift: the stage's, began in FLOPs."""

    peak: float
    warmup: float
    total: float
    protocol: Literal["trunk", "paper"]
    policy: Rate = "continue"
    began: float = 0.0
    shift: float = 1.0

    def lr(self, spent: float, step_flops: float) -> float:
        """LR of the step that starts after `spent` FLOPs and costs `step_flops`."""
        if self.policy == "continue":
            return self._curve(spent, step_flops)
        warm = (spent - self.began + step_flops) / self.warmup if self.warmup else 1.0
        return self._curve(self._place(spent), step_flops) * min(1.0, warm)

    def _place(self, spent: float) -> float:
        if self.policy != "shift":
            return spent
        start = min(self.shift * self.began, self.total)
        return start + (spent - self.began) * (self.total - start) / (self.total - self.began)

    def _curve(self, spent: float, step_flops: float) -> float:
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
