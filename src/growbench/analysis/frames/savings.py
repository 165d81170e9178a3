"""The savings frame: one row per method, one group of columns per accounting."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from growbench.analysis import published
from growbench.analysis.frames.accounting import ACCOUNTINGS, ISO
from growbench.analysis.statistics.intervals import Floats, mean_interval
from growbench.analysis.statistics.savings import (
    BASELINE,
    NOT_REACHED,
    Curve,
    Saving,
    goal,
    measure,
    running_median,
    speedup,
)
from growbench.errors import GrowBenchError

SCRATCH_ISO, LONGER = "scratch_iso", "source_longer"  # controls that also spend the source's FLOPs


def build(points: pd.DataFrame, curves: pd.DataFrame, methods: Sequence[str], protocol: str) -> pd.DataFrame:
    """Return savings against scratch (statistics/savings.py has the policy). points, curves: the frames of these names.

    Amortized: the source's cost is divided by the number of methods of the study that start from it.

    Under protocol paper, the logged curve is used up to the last point, after a running median of three. The curve does
    not hold FLOPs under ELECTRA's convention, so these columns use the points.

    If the study has scratch_iso, the columns `iso` hold what methods with a source and source_longer save against it,
    everything counted: all of them end at the same FLOPs.

    Raises GrowBenchError if scratch is missing or its records are inconsistent.
    """
    if "scratch" not in methods:
        raise GrowBenchError(
            "methods.scratch: missing, but savings are measured against it; add it to the study's methods"
        )
    points, reuses = amortize(points, methods)
    if protocol == "paper":
        curves = _logged(curves, points)
    baseline = points[points["method"] == "scratch"]
    if not np.allclose(baseline["flops"], baseline["flops_total"], rtol=1e-9):
        raise GrowBenchError("scratch: flops_total differs from flops, but scratch has no source; check its records")
    return pd.DataFrame([_row(points, curves, m, protocol, reuses) for m in methods])


def amortize(points: pd.DataFrame, methods: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """Return the points with a column flops_amortised, and the number of methods that start from the study's source."""
    reuses = sum(bool((points.loc[points["method"] == m, "source_flops"] > 0).any()) for m in methods)
    spared = points["source_flops"] * (1 - 1 / max(reuses, 1))
    return points.assign(flops_amortised=points["flops_total"] - spared), reuses


def _logged(curves: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    source = points.groupby(["method", "seed"], as_index=False)[["flops_total", "flops_amortised"]].last()
    source["spared"] = source["flops_total"] - source["flops_amortised"]
    merged = curves.merge(source[["method", "seed", "spared"]], on=["method", "seed"])
    return merged.assign(flops_amortised=merged["flops_total"] - merged["spared"])


def grid(table: pd.DataFrame, column: str) -> Floats:
    """Return one column as an array of shape (seeds, points).

    Raises GrowBenchError if the seeds do not have the same points.
    """
    groups = [group[column].to_numpy(dtype=np.float64) for _, group in table.groupby("seed", sort=True)]
    if len({len(group) for group in groups}) != 1:
        name = table["method"].iloc[0]
        raise GrowBenchError(
            f"{name}: its seeds do not have the same points; delete the record that differs and run its job again"
        )
    return np.stack(groups)


def curve(points: pd.DataFrame, curves: pd.DataFrame, method: str, cost: str, protocol: str) -> Curve:
    """Return one method's curve over `cost`, seeds in ascending order."""
    rows = points[points["method"] == method]
    if protocol != "paper" or cost.endswith("electra"):
        return Curve(cost=grid(rows, cost), loss=grid(rows, "loss"))
    logged = curves[curves["method"] == method]
    last = rows[rows["fraction"] == rows["fraction"].max()]
    inside = (logged["step"] > 0) & (logged["step"] < last["steps"].min())
    logged = logged[inside].sort_values(["seed", "step"])
    end_cost, end_loss = grid(last, cost), grid(last, "loss")
    if logged.empty:
        return Curve(cost=end_cost, loss=end_loss)
    smooth = running_median(grid(logged, "valid_loss"))
    return Curve(
        cost=np.concatenate([grid(logged, cost), end_cost], axis=1), loss=np.concatenate([smooth, end_loss], axis=1)
    )


def _final(points: pd.DataFrame, method: str) -> pd.DataFrame:
    own = points[points["method"] == method]
    return own[own["fraction"] == own["fraction"].max()].sort_values("seed")


def _row(points: pd.DataFrame, curves: pd.DataFrame, method: str, protocol: str, reuses: int) -> dict[str, Any]:
    final, scratch = _final(points, method), _final(points, "scratch")
    loss, baseline = (ends["loss"].to_numpy(dtype=np.float64) for ends in (final, scratch))
    _, threshold = goal(curve(points, curves, "scratch", "flops", protocol))
    row: dict[str, Any] = {
        "study": final["study"].iloc[0],
        "protocol": protocol,
        "method": method,
        "n": len(final),
        "threshold_loss": threshold,
    }
    for name, cost in ACCOUNTINGS.items():
        row |= columns(name, _saving(points, curves, method, cost, protocol))
    if SCRATCH_ISO in set(points["method"]) and (method in (SCRATCH_ISO, LONGER) or final["source_flops"].max() > 0):
        row |= columns(ISO, _saving(points, curves, method, "flops_total", protocol, SCRATCH_ISO))
    return row | _ends(final, loss, baseline, reuses) | {"published": _published(final, method)}


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


def _saving(
    points: pd.DataFrame, curves: pd.DataFrame, method: str, cost: str, protocol: str, baseline: str = "scratch"
) -> Saving | None:
    if method == baseline:
        return None
    return measure(curve(points, curves, method, cost, protocol), curve(points, curves, baseline, cost, protocol))


def columns(name: str, saving: Saving | None) -> dict[str, Any]:
    """Return one accounting's columns; the baseline saves 0 by definition."""
    if saving is None:
        return {f"saving_{name}": 0.0, f"speedup_{name}": 0.0, f"status_{name}": BASELINE}
    ends = saving.interval
    share = saving.share_not_reached if saving.n > 1 else float(saving.status == NOT_REACHED)
    return {
        f"saving_{name}": saving.value,
        f"saving_{name}_lo": ends.lo,
        f"saving_{name}_hi": ends.hi,
        f"speedup_{name}": speedup(saving.value),
        f"speedup_{name}_lo": speedup(ends.lo),
        f"speedup_{name}_hi": speedup(ends.hi),
        f"status_{name}": saving.status,
        f"share_not_reached_{name}": share,
        f"share_at_first_{name}": saving.share_at_first,
    }
