"""The savings_score frame: how much compute a method saves at equal score.

The policy is that of statistics/savings.py with the average score in place of the loss. The score is the mean over tasks
and fine-tuning runs at the fine-tuned finished points; threshold_score is scratch's highest score, at its last
fine-tuned point as a rule. A curve that falls again is replaced by its running best; between points it is read as
losses are. With one fine-tuned point, a saving is a lower bound, "not reached", or that of the two points' FLOPs at an equal score.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from growbench.analysis.frames.accounting import ACCOUNTINGS
from growbench.analysis.frames.measured import amortize, grid
from growbench.analysis.frames.savings import columns
from growbench.analysis.statistics.reading import Curve
from growbench.analysis.statistics.savings import goal, measure
from growbench.errors import GrowBenchError

LEAD = ["study", "protocol", "method", "n"]


def build(points: pd.DataFrame, runs: pd.DataFrame, methods: Sequence[str], counted: bool = False) -> pd.DataFrame:
    """Return one row per method with the columns of the savings table, threshold_score and score (shares, 0 to 1).

    points: the points frame without the source. runs: as scores.chosen returns them. Empty without fine-tuning of trained
    points: right after its growth a model has no cost on the target alone.
    counted: whether FLOPs include those of fine-tuning, of all runs tried. Raises GrowBenchError if a method was not fine-tuned.
    """
    nothing = pd.DataFrame(columns=[*LEAD, "threshold_score", "score"])
    if runs.empty:
        return nothing
    points, reuses = amortize(points[points["fraction"] > 0], methods)
    keys = ["method", "seed", "point"]
    scored = points.merge(runs.groupby(keys, as_index=False)["score"].mean(), on=keys)
    if counted:
        scored = _with_finetuning(scored, runs, keys)
    if scored.empty:
        return nothing
    missing = [method for method in methods if method not in set(scored["method"])]
    if missing:
        raise GrowBenchError(f"{missing[0]}: none of its finished points was fine-tuned; add 1.0 to finetune.points")
    return pd.DataFrame([_row(scored, method, reuses) for method in methods])


def _with_finetuning(scored: pd.DataFrame, runs: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Return points whose FLOPs include those of fine-tuning on all tasks, the mean over fine-tuning seeds."""
    of_seed = runs.groupby([*keys, "finetune_seed"])["finetune_flops"].sum(min_count=1)
    spent = scored.merge(of_seed.groupby(keys).mean().reset_index(), on=keys, how="left")["finetune_flops"]
    return scored.assign(**{name: scored[name] + spent for name in ("flops", "flops_total", "flops_amortised")})


def _row(scored: pd.DataFrame, method: str, reuses: int) -> dict[str, Any]:
    own, scratch = _own(scored, method), _own(scored, "scratch")
    last = own[own["fraction"] == own["fraction"].max()]
    row: dict[str, Any] = {
        **{key: own[key].iloc[0] for key in LEAD[:3]},
        "n": own["seed"].nunique(),
        "points": own["point"].nunique(),
        "threshold_score": -goal(_curve(scratch, "flops"))[1],
        "score": last["score"].mean(),
        "source_reuses": reuses if own["source_flops"].max() > 0 else 0,
    }
    for name, cost in ACCOUNTINGS.items():
        saving = measure(_curve(own, cost), _curve(scratch, cost)) if method != "scratch" else None
        row |= columns(name, saving)
    return row


def _own(scored: pd.DataFrame, method: str) -> pd.DataFrame:
    return scored[scored["method"] == method].sort_values(["seed", "fraction"])


def _curve(scored: pd.DataFrame, cost: str) -> Curve:
    """Return a method's curve over a cost. A curve must fall as it improves, so it holds the negative score."""
    return Curve(cost=grid(scored, cost), loss=-grid(scored, "score"))
