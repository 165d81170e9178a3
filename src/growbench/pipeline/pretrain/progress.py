"""What a run logs while it trains, in words."""

import logging

from growbench.train.segment import Segment

log = logging.getLogger(__name__)
MINUTE, HOUR = 60, 3600


def segment(
    name: str, phase: str, done: Segment, tokens: int, *, step: int, losses: tuple[float, float | None],
    spent: float, budget: float, left: float,
) -> None:  # fmt: skip
    """Log a segment that is done.

    name: of the run.
    phase: trunk, or cooldown and the finished point.
    done: the segment.
    tokens: of the segment.
    step: of the run.
    losses: in training and in validation, in nats; None if not measured.
    spent: FLOPs of the run until now.
    budget: FLOPs of the largest budget.
    left: tokens until the budget is spent.
    """
    speed = tokens / max(done.wall_seconds, 1e-9)
    train, valid = losses
    validation = "" if valid is None else f", validation loss {valid:.4f}"
    log.info(
        "%s %s: step %d, training loss %.4f%s, %.0f %% of %.3g FLOPs, %s tokens/s, about %s left",
        name, phase, step, train, validation, 100 * spent / budget, budget, f"{speed:,.0f}", duration(left / speed),
    )  # fmt: skip


def duration(seconds: float) -> str:
    """Return a time in the largest units that fit: 42 s, 3 min 20 s, 5 h 07 min."""
    whole = max(0, round(seconds))
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE:02d} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE:02d} min"
