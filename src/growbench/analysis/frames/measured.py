"""What savings are measured on: the curves of a study's methods, and the frontier of its models from scratch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from growbench.analysis.statistics.documents import resampled
from growbench.analysis.statistics.intervals import Floats
from growbench.analysis.statistics.reading import Curve, running_median
from growbench.analysis.statistics.savings import Saving
from growbench.errors import GrowBenchError
from growbench.records.documents import Documents
from growbench.spec import SOURCE

SCRATCH, SCRATCH_ISO, LONGER = "scratch", "scratch_iso", "source_longer"
# Methods that, with their variants, make the frontier; the source does too.
FROM_SCRATCH = (SCRATCH, SCRATCH_ISO, LONGER)
Losses = Mapping[tuple[str, int], Documents]  # of the documents of runs, by the run's own method and seed


class Measured:
    """The finished points of a study, as curves."""

    def __init__(
        self, points: pd.DataFrame, curves: pd.DataFrame, protocol: str, bases: Mapping[str, str], losses: Losses
    ) -> None:
        """Take the frames of these names, the source's rows included.

        protocol: with paper, the logged curve is used up to the last point, after a running median of three. The curve does
        not hold FLOPs under ELECTRA's convention, so these use the points.
        bases: by method, the method that it is a variant of, or itself.
        losses: of the same documents in all runs that have them; older records do not.
        Raises GrowBenchError if scratch is missing or its records are inconsistent.
        """
        methods = [name for name in dict.fromkeys(points["method"]) if name != SOURCE]
        if SCRATCH not in methods:
            raise GrowBenchError(
                "methods.scratch: missing, but savings are measured against it; add it to the study's methods"
            )
        self.points, self.reuses = amortize(points, methods)
        self.protocol, self.bases = protocol, bases
        self._curves = _logged(curves, self.points) if protocol == "paper" else curves
        self._losses, self._draws = losses, dict[tuple[str, int], Floats]()
        self._made: dict[tuple[str, str], Curve] = {}
        baseline = self.own(SCRATCH)
        if not np.allclose(baseline["flops"], baseline["flops_total"], rtol=1e-9):
            raise GrowBenchError(
                "scratch: flops_total differs from flops, but scratch has no source; check its records"
            )

    def own(self, method: str) -> pd.DataFrame:
        """Return the trained points of a method by seed, each seed's in the order of their costs.

        A model right after its growth (point 0.0) is no point of a curve: on the target alone, it has no cost.
        """
        own = self.points[(self.points["method"] == method) & (self.points["fraction"] > 0)]
        return own.sort_values(["seed", "flops"], kind="stable")

    def final(self, method: str) -> pd.DataFrame:
        """Return the last point of a method in each seed."""
        own = self.own(method)
        return own[own["fraction"] == own["fraction"].max()]

    def has(self, method: str) -> bool:
        """Whether the study has a method."""
        return method in set(self.points["method"])

    def frontier(self) -> list[Curve]:
        """Return the curves of all models from scratch, of any size, everything counted; not of a source of unknown cost."""
        names = dict.fromkeys(self.points.loc[self.points["flops_total"].notna(), "method"])
        return [
            self.curve(name, "flops_total")
            for name in names
            if name == SOURCE or self.bases.get(name, name) in FROM_SCRATCH
        ]

    def curve(self, method: str, cost: str) -> Curve:
        """Return one method's curve over a cost, seeds in ascending order."""
        if (method, cost) not in self._made:
            self._made[method, cost] = self._curve(method, cost)
        return self._made[method, cost]

    def _curve(self, method: str, cost: str) -> Curve:
        rows = self.own(method)
        if self.protocol != "paper" or cost.endswith("electra"):
            draws, documents = self._resampled(rows)
            return Curve(cost=grid(rows, cost), loss=grid(rows, "loss"), draws=draws, documents=documents)
        logged, last = self._curves[self._curves["method"] == method], self.final(method)
        inside = (logged["step"] > 0) & (logged["step"] < last["steps"].min())
        logged = logged[inside].sort_values(["seed", "step"])
        end_cost, end_loss = grid(last, cost), grid(last, "loss")
        if logged.empty:
            return Curve(cost=end_cost, loss=end_loss)
        smooth = running_median(grid(logged, "valid_loss"))
        return Curve(
            cost=np.concatenate([grid(logged, cost), end_cost], axis=1), loss=np.concatenate([smooth, end_loss], axis=1)
        )

    def _resampled(self, rows: pd.DataFrame) -> tuple[Floats | None, int]:
        """Return the losses of points with the documents resampled, shape (seeds, resamples, points), and their number.

        Without the documents of every run, there are none.
        """
        runs = list(zip(rows["run"], rows["seed"], rows["point"], strict=True))
        if not all((run, seed) in self._losses for run, seed, _ in runs):
            return None, 0
        documents = len(self._losses[runs[0][:2]].tokens)
        columns = [self._drawn(run, seed)[:, self._losses[run, seed].points.index(point)] for run, seed, point in runs]
        seeds = [np.stack([columns[i] for i in places], axis=1) for places in _places(rows["seed"].to_list())]
        return np.stack(seeds), documents

    def _drawn(self, run: str, seed: int) -> Floats:
        if (run, seed) not in self._draws:
            found = self._losses[run, seed]
            self._draws[run, seed] = resampled(found.tokens, found.nats)
        return self._draws[run, seed]


def columns(saving: Saving) -> dict[str, Any]:
    """Return the columns of one saving in a frame whose rows have one each."""
    return {
        "n": saving.n,
        "flops": saving.at,
        "status": saving.status,
        "saving": saving.value,
        "lo": saving.interval.lo,
        "hi": saving.interval.hi,
        "multi_lo": saving.multi.lo,
        "multi_hi": saving.multi.hi,
        "p": saving.p,
        "detectable": saving.detectable,
    }


def interval_of(row: Mapping[Any, Any], prefix: str = "") -> str:
    """Return what the columns of a row's interval begin with: the one over seeds and documents if documents are known."""
    multi = f"{prefix}multi_"
    return prefix if pd.isna(row.get(f"{multi}lo")) else multi


def _places(seeds: Sequence[int]) -> list[list[int]]:
    return [[i for i, own in enumerate(seeds) if own == seed] for seed in sorted(set(seeds))]


def amortize(points: pd.DataFrame, methods: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """Return the points with a column flops_amortised, and the number of methods that start from the study's source."""
    reuses = sum(bool((points.loc[points["method"] == m, "source_flops"] != 0).any()) for m in methods)
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
