"""Results: a study's frames as the papers' tables read them, by method; rows are dicts, missing numbers are None."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from growbench import families
from growbench.analysis import captions
from growbench.analysis.frames import Record
from growbench.analysis.frames.curves import Ends
from growbench.analysis.frames.scores import AVERAGE
from growbench.analysis.statistics.intervals import Floats
from growbench.spec import SOURCE
from growbench.study.study import point_name

if TYPE_CHECKING:
    from growbench.study.study import Study

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """All numbers of a study. A method's name is its name in the study.

    study: the study's name.
    objective: what the target's family is trained on: mlm, clm or classification.
    methods: names in the order of the tables.
    bases: by name, the method that it is a variant of, or itself.
    options: by name, as the records have them, defaults filled in.
    tasks: as the study names them.
    savings, at_score: by name, rows of savings.csv and savings_score.csv.
    averages: by name, rows of averages.csv at the last fine-tuned point.
    scores: by name and task, rows of scores.csv at that point.
    metrics: by name, task and metric, the mean over runs at that point.
    final: by name, one row per seed at the last finished point.
    points: the points frame.
    ends: as curves.ends returns them.
    """

    study: str
    objective: str
    methods: tuple[str, ...]
    bases: dict[str, str]
    options: dict[str, Row]
    tasks: tuple[str, ...]
    savings: dict[str, Row]
    at_score: dict[str, Row]
    averages: dict[str, Row]
    scores: dict[tuple[str, str], Row]
    metrics: dict[tuple[str, str, str], float]
    final: dict[str, pd.DataFrame]
    points: pd.DataFrame
    ends: Ends

    def of(self, *bases: str) -> list[str]:
        """Return the names under which the study has these methods, variants included, in the study's order."""
        return [name for name in self.methods if self.bases[name] in bases]

    def plain(self, base: str) -> list[str]:
        """Return the method itself if the study has it under its own name, else its variants."""
        found = self.of(base)
        return [base] if base in found else found

    def last(self, name: str, column: str) -> Floats:
        """Return a column of points.csv at the last finished point, one value per seed; `source` has one too."""
        if name not in self.final:
            return np.empty(0)
        values = self.final[name][column].to_numpy(dtype=np.float64)
        return values if np.isfinite(values).all() else np.empty(0)

    def source_ends(self, name: str) -> Floats:
        """Return the losses over all of the validation text of the finished source that a method grew, one value per seed."""
        point = point_name(self.options.get(name, {}).get("source_point") or 1.0)
        own = [key for key in sorted(self.ends) if key[0] == SOURCE and key[2] == point]
        return np.array([self.ends[key] for key in own], dtype=np.float64)

    @property
    def n(self) -> int:
        """Return the number of pre-training seeds."""
        return int(self.savings["scratch"]["n"])

    @property
    def notes(self) -> list[str]:
        """Return the notes of every table (captions.py)."""
        return captions.lines(self.points, list(self.savings.values()), self.bases)


def collect(
    study: "Study",
    methods: Sequence[str],
    bases: Mapping[str, str],
    pretrain: Sequence[Record],
    finetune: Sequence[Record],
    frames: dict[str, pd.DataFrame],
    ends: Ends,
) -> Results:
    """Return the results of a study.

    frames: points (the source's too), savings, savings_score, scores and averages. ends: as curves.ends returns them.
    """
    points, scores = frames["points"], frames["scores"]
    of_source = scores["method"] == SOURCE
    point = None if of_source.all() else str(scores.loc[scores["fraction"].where(~of_source).idxmax(), "point"])
    own = rows(scores[(scores["point"] == point) | of_source])
    last = points[points["fraction"] == points.groupby("method")["fraction"].transform("max")]
    averages = frames["averages"]
    return Results(
        study=study.study,
        objective=families.load(str(points["family"].iloc[0])).objective,
        methods=tuple(methods),
        bases=dict(bases),
        options={record["method"]: record["options"] for record in pretrain},
        tasks=tuple(task for task in dict.fromkeys(row["task"] for row in own) if task != AVERAGE),
        savings=_by_method(rows(frames["savings"])),
        at_score=_by_method(rows(frames["savings_score"])),
        averages=_by_method(rows(averages[averages["point"] == point])),
        scores={(row["method"], row["task"]): row for row in own},
        metrics=_metrics([r for r in finetune if r["point"] == point or r["method"] == SOURCE]),
        final={str(name): group.sort_values("seed") for name, group in last.groupby("method")},
        points=points,
        ends=ends,
    )


def rows(frame: pd.DataFrame) -> list[Row]:
    """Return a frame's rows as dicts, with None for what is missing."""
    return [{str(k): None if pd.isna(v) else v for k, v in row.items()} for row in frame.to_dict("records")]


def _by_method(found: list[Row]) -> dict[str, Row]:
    return {row["method"]: row for row in found}


def _metrics(finetune: Sequence[Record]) -> dict[tuple[str, str, str], float]:
    """Return the mean over runs of every metric, by method, task and metric."""
    values: dict[tuple[str, str, str], list[float]] = {}
    for record in finetune:
        for run in record["runs"]:
            for metric, value in run["metrics"].items():
                values.setdefault((record["method"], run["task"], metric), []).append(float(value))
    return {key: float(np.mean(found)) for key, found in values.items()}
