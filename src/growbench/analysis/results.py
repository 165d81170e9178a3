"""Results: a study's frames as the papers' tables read them, by method's name; rows are dicts, missing numbers None."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from growbench.analysis.frames.runs import Record
from growbench.analysis.frames.scores import AVERAGE
from growbench.analysis.pages import markdown
from growbench.analysis.statistics.intervals import Floats
from growbench.spec import SOURCE

if TYPE_CHECKING:
    from growbench.study.study import Study

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Results:
    """All numbers of a study. A method's name is its name in the study; `files` has the method that it is a variant of.

    options: by name, as the records have them, defaults filled in. savings, at_score: rows of savings.csv and savings_score.csv. scores:
    rows of scores.csv at the last fine-tuned point, by name and task; averages: of averages.csv there. metrics: mean of
    every metric there, by name, task and metric. final: one row a seed at the last finished point. tasks: as the study
    names them.
    """

    study: str
    family: str
    methods: tuple[str, ...]
    files: dict[str, str]
    options: dict[str, Row]
    tasks: tuple[str, ...]
    savings: dict[str, Row]
    at_score: dict[str, Row]
    averages: dict[str, Row]
    scores: dict[tuple[str, str], Row]
    metrics: dict[tuple[str, str, str], float]
    final: dict[str, pd.DataFrame]
    points: pd.DataFrame

    def of(self, *files: str) -> list[str]:
        """Return the names under which the study has these methods, variants included, in the study's order."""
        return [name for name in self.methods if self.files[name] in files]

    def plain(self, file: str) -> list[str]:
        """Return the method itself where the study has it with its defaults or options, else its variants."""
        found = self.of(file)
        return [file] if file in found else found

    def last(self, name: str, column: str) -> Floats:
        """Return a column of points.csv at the last finished point, one value a seed; `source` has a row too."""
        if name not in self.final:
            return np.empty(0)
        values = self.final[name][column].to_numpy(dtype=np.float64)
        return values if np.isfinite(values).all() else np.empty(0)

    @property
    def n(self) -> int:
        """Return the number of pre-training seeds."""
        return int(self.savings["scratch"]["n"])

    @property
    def notes(self) -> list[str]:
        """Return the notes of every table: scale, seeds, protocol, intervals, provenance."""
        protocol = markdown.protocol_text(str(self.savings["scratch"]["protocol"]))
        return [
            f"Study {self.study}: {markdown.scale(self.points)} (layers, hidden); n = {self.n} pre-training seed(s); "
            f"{protocol}.",
            markdown.interval_text(self.n),
            f"Records: {markdown.provenance(self.points)}.",
        ]


def collect(
    study: "Study",
    methods: Sequence[str],
    pretrain: Sequence[Record],
    finetune: Sequence[Record],
    frames: dict[str, pd.DataFrame],
) -> Results:
    """Return the results of a study. frames: points (the source's too), savings, savings_score, scores and averages."""
    points, scores = frames["points"], frames["scores"]
    of_source = scores["method"] == SOURCE
    point = None if of_source.all() else str(scores.loc[scores["fraction"].where(~of_source).idxmax(), "point"])
    own = rows(scores[(scores["point"] == point) | of_source])
    last = points[points["fraction"] == points.groupby("method")["fraction"].transform("max")]
    averages = frames["averages"]
    return Results(
        study=study.study,
        family=str(points["family"].iloc[0]),
        methods=tuple(methods),
        files={name: study.method(name).name for name in methods},
        options={record["method"]: record["options"] for record in pretrain},
        tasks=tuple(task for task in dict.fromkeys(row["task"] for row in own) if task != AVERAGE),
        savings=_by_method(rows(frames["savings"])),
        at_score=_by_method(rows(frames["savings_score"])),
        averages=_by_method(rows(averages[averages["point"] == point])),
        scores={(row["method"], row["task"]): row for row in own},
        metrics=_metrics([r for r in finetune if r["point"] == point or r["method"] == SOURCE]),
        final={str(name): group.sort_values("seed") for name, group in last.groupby("method")},
        points=points,
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
