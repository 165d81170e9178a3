"""The savings frame: one row per method, one group of columns per accounting (statistics/savings.py has the policy)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from growbench.analysis import published
from growbench.analysis.frames.accounting import ACCOUNTINGS, FRONTIER, ISO
from growbench.analysis.frames.measured import LONGER, SCRATCH, SCRATCH_ISO, Measured
from growbench.analysis.frames.tuning import AXES
from growbench.analysis.ranking import is_control
from growbench.analysis.statistics.intervals import Floats, mean_interval
from growbench.analysis.statistics.multiplicity import confidence_set, holm
from growbench.analysis.statistics.reading import Curve
from growbench.analysis.statistics.savings import AT_FIRST, BASELINE, Saving, goal, measure, speedup

FITTED = ("target_only", "total", FRONTIER)  # accountings that are also read on a monotone fit
TOTAL = ACCOUNTINGS["total"]


def build(measured: Measured, methods: Sequence[str], gains: Mapping[str, float]) -> pd.DataFrame:
    """Return savings against scratch, and everything counted against the frontier of all models from scratch.

    gains: by axis of the search, what scratch would gain with one step of its grid (nats).

    Columns of each accounting X:
    saving_X, speedup_X, status_X: as statistics/savings.py defines them; _lo, _hi: 95 % t interval over seeds.
    saving_X_multi_lo, _hi: the same over seeds x documents; empty without the losses of single documents.
    p_X, detectable_X, level_X: see Saving. p_holm_X: p_X corrected for the number of growing methods.
    at_X: FLOPs (or seconds) by which both have reached the loss at which they are compared. share_not_reached_X, share_at_first_X: shares of the seeds.

    Amortized: the source's cost is divided by the number of methods of the study that start from it. If the study has
    scratch_iso, `iso` holds what methods with a source and source_longer save against it, everything counted.

    saving_X_fit: read on a monotone fit of the points instead of their running best.
    saving_total_better_lr, _warmup: the saving if scratch's losses were lower by its gain at one step of the search's grid.
    best: whether a growing method is in the model confidence set of the costs against the frontier, at 95 %.
    """
    found = {method: _all(measured, method) for method in methods}
    growing = [method for method in methods if not is_control(measured.bases.get(method, method))]
    rows = [_row(measured, method, found[method], gains) for method in methods]
    frame = pd.DataFrame(rows)
    for name in dict.fromkeys(name for savings in found.values() for name in savings):
        measures = {method: found[method].get(name) for method in growing}
        corrected = holm({method: saving.p if saving else None for method, saving in measures.items()})
        frame[f"p_holm_{name}"] = [corrected.get(method) for method in methods]
    best = _best({method: found[method][FRONTIER] for method in growing})
    return frame.assign(best=[best.get(method) for method in methods])


def _all(measured: Measured, method: str) -> dict[str, Saving | None]:
    """Return the saving of a method in every accounting that it has; None for the baseline itself."""
    found: dict[str, Saving | None] = {}
    for name, cost in ACCOUNTINGS.items():
        is_baseline = method == SCRATCH
        found[name] = None if is_baseline else measure(measured.curve(method, cost), measured.curve(SCRATCH, cost))
    found[FRONTIER] = measure(measured.curve(method, TOTAL), *measured.frontier())
    has_source = measured.final(method)["source_flops"].max() > 0
    if measured.has(SCRATCH_ISO) and (method in (SCRATCH_ISO, LONGER) or has_source):
        iso = measured.curve(SCRATCH_ISO, TOTAL)
        found[ISO] = None if method == SCRATCH_ISO else measure(measured.curve(method, TOTAL), iso)
    return found


def _row(
    measured: Measured, method: str, savings: Mapping[str, Saving | None], gains: Mapping[str, float]
) -> dict[str, Any]:
    final, scratch = measured.final(method), measured.final(SCRATCH)
    loss, baseline = (ends["loss"].to_numpy(dtype=np.float64) for ends in (final, scratch))
    _, threshold = goal(measured.curve(SCRATCH, "flops"))
    row: dict[str, Any] = {
        "study": final["study"].iloc[0],
        "protocol": measured.protocol,
        "method": method,
        "base": measured.bases.get(method, method),
        "n": len(final),
        "tpp": final["tpp"].mean(),
        "source_tpp": final["source_tpp"].mean(),
        "threshold_loss": threshold,
    }
    for name, saving in savings.items():
        row |= columns(name, saving)
    row |= _fits(measured, method) | _better(measured, method, gains)
    return row | _ends(final, loss, baseline, measured.reuses) | {"published": _published(final, method)}


def _fits(measured: Measured, method: str) -> dict[str, float | None]:
    """Return the savings that are read on monotone fits."""
    found = {}
    for name in FITTED:
        cost = ACCOUNTINGS.get(name, TOTAL)
        against = measured.frontier() if name == FRONTIER else [measured.curve(SCRATCH, cost)]
        found[f"saving_{name}_fit"] = measure(
            measured.curve(method, cost).fit(), *(curve.fit() for curve in against)
        ).value
    return found


def _better(measured: Measured, method: str, gains: Mapping[str, float]) -> dict[str, float | None]:
    """Return the savings against a scratch that is one step of the search's grid better."""

    def saved(nats: float) -> float | None:
        scratch: Curve = measured.curve(SCRATCH, TOTAL).lowered(nats)
        return measure(measured.curve(method, TOTAL), scratch).value

    return {f"saving_total_better_{axis}": saved(gains[axis]) if axis in gains else None for axis in AXES}


def _best(savings: Mapping[str, Saving | None]) -> dict[str, bool]:
    """Return by method whether it is in the model confidence set; without methods whose cost is not known, or only a bound."""
    logs = {
        method: saving.logs
        for method, saving in savings.items()
        if saving and saving.logs and saving.status != AT_FIRST
    }
    return confidence_set(list(logs), np.array(list(logs.values())).T) if logs else {}


def _ends(final: pd.DataFrame, loss: Floats, scratch: Floats, reuses: int) -> dict[str, Any]:
    """Return losses and costs at the last finished point; loss, scratch: the method's and scratch's, one per seed."""
    ends, gap = mean_interval(loss), mean_interval(loss - scratch)
    return {
        "loss_after_growth": final["loss_after_growth"].mean(),
        "final_loss": loss.mean(),
        "final_loss_lo": ends.lo,
        "final_loss_hi": ends.hi,
        "loss_gap": loss.mean() - scratch.mean(),
        "loss_gap_lo": gap.lo,
        "loss_gap_hi": gap.hi,
        "source_flops": final["source_flops"].mean(),
        "source_reuses": reuses if final["source_flops"].max() > 0 else 0,
        "flops": final["flops"].mean(),
        "flops_total": final["flops_total"].mean(),
        "wall_seconds": final["wall_seconds"].mean(),
    }


def _published(final: pd.DataFrame, method: str) -> str:
    return "; ".join(published.savings(method, str(final["family"].iloc[0])))


def columns(name: str, saving: Saving | None) -> dict[str, Any]:
    """Return one accounting's columns; the baseline saves 0 by definition."""
    if saving is None:
        return {f"saving_{name}": 0.0, f"speedup_{name}": 0.0, f"status_{name}": BASELINE}
    ends, multi = saving.interval, saving.multi
    return {
        f"saving_{name}": saving.value,
        f"saving_{name}_lo": ends.lo,
        f"saving_{name}_hi": ends.hi,
        f"saving_{name}_multi_lo": multi.lo,
        f"saving_{name}_multi_hi": multi.hi,
        f"speedup_{name}": speedup(saving.value),
        f"speedup_{name}_lo": speedup(ends.lo),
        f"speedup_{name}_hi": speedup(ends.hi),
        f"status_{name}": saving.status,
        f"p_{name}": saving.p,
        f"detectable_{name}": saving.detectable,
        f"level_{name}": saving.level,
        f"at_{name}": saving.at,
        f"share_not_reached_{name}": saving.share_not_reached,
        f"share_at_first_{name}": saving.share_at_first,
    }
