"""How much better scratch would be if its learning rate or its warm-up were one step of the search's grid better.

A search that stopped one step short has its optimum beside the best trial. What lies there is not known, but the loss
rises from the best trial to its better neighbor by the margin, and a step in the other direction may gain as much.
"""

from collections.abc import Sequence

from growbench.analysis.frames import Record, search
from growbench.analysis.frames.measured import SCRATCH

AXES = ("lr", "warmup")  # what is searched


def gains(searches: Sequence[Record]) -> dict[str, float]:
    """Return by axis the loss (nats) that scratch would gain; without an axis that was not searched."""
    found = next((record for record in searches if record["method"] == SCRATCH), None)
    if found is None:
        return {}
    margins = {axis: margin(found["trials"], axis) for axis in AXES}
    return {axis: value for axis, value in margins.items() if value is not None}


def margin(trials: Sequence[Record], axis: str) -> float | None:
    """Return the loss of the best trial's better neighbor along an axis minus the best trial's, in nats.

    None if no neighbor has a loss.
    """
    known = search.complete(trials)
    best = search.best(known)
    if best is None:
        return None
    near = search.neighbors(known, best)
    losses = [loss for side in search.STEPS if (loss := near[f"loss_{axis}_{side}"]) is not None]
    return min(losses) - float(best["loss"]) if losses else None
