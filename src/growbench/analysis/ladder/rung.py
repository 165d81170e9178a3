"""One rung: a study's tables, and the sizes of its two models."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from growbench.analysis.frames.measured import LONGER, SCRATCH, Measured
from growbench.analysis.outputs import COMPARED, ZEROSHOT
from growbench.analysis.ranking import is_control
from growbench.analysis.statistics.intervals import Floats
from growbench.errors import GrowBenchError
from growbench.spec import SOURCE

NEAR = 0.05  # of a log: points whose tokens per parameter are this close to a wanted number have it


@dataclass(frozen=True, kw_only=True)
class Rung:
    """The tables of one study of a ladder.

    study: its name.
    points, savings, by_point: the tables of these names (savings_by_point); the source's points included.
    zeroshot: that table; empty if the study does not ask for it.
    """

    study: str
    points: pd.DataFrame
    savings: pd.DataFrame
    by_point: pd.DataFrame
    zeroshot: pd.DataFrame

    @cached_property
    def bases(self) -> dict[str, str]:
        """By method, the method that it is a variant of, or itself; in the order of the tables."""
        return dict(zip(self.savings["method"], self.savings["base"], strict=True))

    @property
    def growing(self) -> list[str]:
        """Return the methods that grow something."""
        return [name for name, base in self.bases.items() if not is_control(base)]

    @property
    def placebos(self) -> list[str]:
        """Return the placebo and its variants."""
        return [name for name, base in self.bases.items() if base == "placebo"]

    @cached_property
    def measured(self) -> Measured:
        """The finished points as curves; without the losses of single documents."""
        return Measured(self.points, pd.DataFrame(), "trunk", self.bases, {})

    @property
    def seeds(self) -> int:
        """Return the number of pre-training seeds."""
        return int(self.savings["n"].max())

    @property
    def target(self) -> float:
        """Return the parameters of the target, embeddings included."""
        return self._parameters(SCRATCH)

    @property
    def source(self) -> float:
        """Return the parameters of the source, embeddings included; NaN if the study trains none."""
        names = [name for name in (SOURCE, LONGER) if self.measured.has(name)]
        return self._parameters(names[0]) if names else float("nan")

    def _parameters(self, method: str) -> float:
        first = self.points[self.points["method"] == method].iloc[0]
        return float(first["tokens"] / first["tpp"])

    def final(self, method: str) -> Floats:
        """Return the final losses of a method, one per seed in ascending order; empty without the method."""
        if not self.measured.has(method):
            return np.empty(0)
        return self.measured.final(method).sort_values("seed")["loss"].to_numpy(dtype=np.float64)

    def row(self, method: str, accounting: str, tpp: float) -> dict[str, Any] | None:
        """Return a method's row of savings_by_point at a number of tokens per parameter; None if there is none."""
        rows = self.by_point[(self.by_point["method"] == method) & (self.by_point["accounting"] == accounting)]
        rows = rows[np.abs(np.log(rows["tpp"] / tpp)) < NEAR]
        return None if rows.empty else {str(key): value for key, value in rows.iloc[0].items()}

    def facts(self) -> dict[str, Any]:
        """Return the columns that say what a rung is."""
        first = self.points[self.points["method"] == SCRATCH].iloc[0]
        return {
            "rung": self.study,
            "family": first["family"],
            "source": first["source"] if isinstance(first["source"], str) else "",
            "target": first["target"],
            "source_parameters": self.source,
            "target_parameters": self.target,
        }


def bases(rungs: Sequence[Rung]) -> dict[str, str]:
    """Return by method of any rung the one that it is a variant of, or itself; in the order of the rungs' tables."""
    return {name: base for rung in rungs for name, base in rung.bases.items()}


def read(study: str, folder: Path) -> Rung:
    """Read the rung of a study from the folder of its tables. Raises GrowBenchError if a table is missing."""
    found = {}
    for name in COMPARED:
        path = folder / f"{name}.csv"
        if not path.is_file():
            raise GrowBenchError(f"{path}: no such table; run `growbench aggregate` for study {study} first")
        found[name] = pd.read_csv(path, dtype={"commit": str, "source": str, "target": str}, low_memory=False)
    optional = folder / f"{ZEROSHOT}.csv"
    zeroshot = pd.read_csv(optional) if optional.is_file() else pd.DataFrame()
    return Rung(
        study=study,
        points=found["points"],
        savings=found["savings"],
        by_point=found["savings_by_point"],
        zeroshot=zeroshot,
    )
