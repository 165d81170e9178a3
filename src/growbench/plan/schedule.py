"""Learning rate as a function of the FLOPs spent.

    curve(F)    rises to the peak during the warm-up; then `trunk` stays there, and `paper` falls linearly to 0 at the total

A stage that began after F_0 FLOPs follows the curve according to its policy:

    continue    curve(F)
    rewarm      curve(F) times a new warm-up that starts at F_0 and has as many steps, if warm-ups are given in steps
    shift       as rewarm, but the curve is read from shift * F_0 on, rescaled to end where the curve ends. That is
                where the grown model would be if it had been trained from scratch (Staged Training, section 3.3)
"""

from dataclasses import dataclass
from typing import Literal

from growbench.plan.plan import Rate


@dataclass(frozen=True, slots=True)
class Schedule:
    """LR of one stage.

    peak: LR after the warm-up.
    warmup: FLOPs of the warm-up at the start of the run.
    again: FLOPs of a new warm-up at the start of the stage.
    total: FLOPs of the largest budget.
    protocol: `trunk` (constant) or `paper` (linear decay).
    policy: how the stage follows the curve.
    began: FLOPs spent when the stage began.
    shift: for the policy `shift`, where the curve is read, as a multiple of `began`.
    start: FLOPs of learning an operator, before the first step that this schedule is of.
    """

    peak: float
    warmup: float
    again: float
    total: float
    protocol: Literal["trunk", "paper"]
    policy: Rate = "continue"
    began: float = 0.0
    shift: float = 1.0
    start: float = 0.0

    def lr(self, spent: float, step_flops: float) -> float:
        """Return the LR of the step that starts after `spent` FLOPs and costs `step_flops`."""
        if self.policy == "continue":
            return self._curve(spent, step_flops)
        warm = (spent - self.began + step_flops) / self.again if self.again else 1.0
        return self._curve(self._place(spent), step_flops) * min(1.0, warm)

    def _place(self, spent: float) -> float:
        if self.policy != "shift":
            return spent
        start = min(self.shift * self.began, self.total)
        return start + (spent - self.began) * (self.total - start) / (self.total - self.began)

    def _curve(self, spent: float, step_flops: float) -> float:
        after = spent - self.start + step_flops
        if after < self.warmup:
            return self.peak * after / self.warmup
        if self.protocol == "trunk":
            return self.peak
        return self.peak * max(0.0, (self.total - spent) / (self.total - self.start - self.warmup))

    def lr_of_step(self, spent: float, step_flops: float, step: int) -> float:
        """Return the LR of step 0, 1, ... of equal steps after `spent` FLOPs."""
        return self.lr(spent + step * step_flops, step_flops)


def cooldown(lr: float, steps: int, step: int) -> float:
    """Return the LR of step 0 .. steps - 1 of a linear decay from `lr` that would reach 0 at step `steps`."""
    return lr * (steps - step) / (steps + 1)
