"""How much better scratch would be if its learning rate or its warm-up were one step of the search's grid better.

A search that stopped one step short has its optimum beside the best trial. What lies there is not known, but the loss
rises from the best trial to its better neighbor by the margin, and a step in the other direction may gain as much.
"""

from collections.abc import Sequence

from growbench.analysis.frames import Record
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

    Neighbors differ from the best trial in this axis alone. None if no neighbor has a loss.
    """
    finite = [trial for trial in trials if trial["loss"] is not None]
    if not finite:
        return None
    best = min(finite, key=lambda trial: float(trial["loss"]))
    others = [name for name in AXES if name != axis]
    if best.get(axis) is None:
        return None
    line = [t for t in finite if t.get(axis) is not None and all(t.get(name) == best.get(name) for name in others)]
    below = max((t for t in line if t[axis] < best[axis]), key=lambda t: float(t[axis]), default=None)
    above = min((t for t in line if t[axis] > best[axis]), key=lambda t: float(t[axis]), default=None)
    rises = [float(t["loss"]) - float(best["loss"]) for t in (below, above) if t is not None]
    return min(rises, default=None)
