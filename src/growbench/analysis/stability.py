"""Runs that ended far above the other seeds of their method: an instability early in training from which they did not recover.

A LR that was searched with one seed can be one that another seed does not survive. Such a run makes its method look worse
than it is, and if the method is scratch, every other one better.
"""

from growbench.analysis.frames.measured import SCRATCH, Measured
from growbench.records.layout import run_name

FAR = 0.1  # nats above the median of the method's seeds; seeds that train well differ by about a tenth of this
SEEDS = 3  # fewer have no median to stand out from


def unstable(measured: Measured) -> dict[str, float]:
    """Return by run, such as scratch-s3, how far it ended above the median of its method's seeds (nats)."""
    found: dict[str, float] = {}
    for method in dict.fromkeys(measured.points["method"]):
        last = measured.final(method)
        if len(last) < SEEDS:
            continue
        above = last["loss"] - last["loss"].median()
        found |= {
            run_name(method, int(seed)): float(far) for seed, far in zip(last["seed"], above, strict=True) if far > FAR
        }
    return found


def sentence(measured: Measured) -> str:
    """Return which runs are unstable in a sentence; empty if none is."""
    found = unstable(measured)
    if not found:
        return ""
    of_scratch = [run_name(SCRATCH, int(seed)) for seed in measured.final(SCRATCH)["seed"]]
    runs = ", ".join(f"{name} by {far:.2f}" for name, far in found.items())
    scratch = " Savings against scratch are too high because of it." if any(run in found for run in of_scratch) else ""
    return f"Unstable: these runs end more than {FAR:g} nats above the median of their method's seeds: {runs}.{scratch}"
