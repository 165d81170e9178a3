"""The tables that figures read."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from growbench.analysis import captions, ranking, wording
from growbench.analysis.figures.style import Style, style, styles
from growbench.errors import GrowBenchError
from growbench.spec import SOURCE


@dataclass(frozen=True, kw_only=True, slots=True)
class Tables:
    """A study's tables as frames.

    points, scores, curves, plans: the tables of these names without the source's own run. A row of curves and of plans has
    the method whose curve its run belongs to, and the run's name as `run`.
    savings, savings_by_point, runs: the tables of these names.
    source: the source's rows of the plans table.
    source_scores: the source's rows of the scores table.
    from_scratch: the rows of the points table that make the frontier, the source's included.
    attention_maps, attention_distance, zeroshot: empty in a study that does not ask for them.
    """

    points: pd.DataFrame
    savings: pd.DataFrame
    savings_by_point: pd.DataFrame
    scores: pd.DataFrame
    curves: pd.DataFrame
    runs: pd.DataFrame
    plans: pd.DataFrame
    source: pd.DataFrame
    source_scores: pd.DataFrame
    from_scratch: pd.DataFrame
    attention_maps: pd.DataFrame = field(default_factory=pd.DataFrame)
    attention_distance: pd.DataFrame = field(default_factory=pd.DataFrame)
    zeroshot: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def methods(self) -> list[str]:
        """Return the methods in the order of the savings table."""
        return [str(name) for name in self.savings["method"]]

    @property
    def leading(self) -> list[str]:
        """Return the methods that a figure of curves shows in color and by name; the others are gray."""
        return ranking.leading(self.savings.to_dict("records"), self.bases)

    @property
    def bases(self) -> dict[str, str]:
        """Return by method, and by run, the method that it is a variant of, or itself."""
        columns = ((self.plans, "run"), (self.savings, "method"))
        return {name: base for rows, key in columns for name, base in zip(rows[key], rows["base"], strict=True)}

    def last_plan(self, method: str) -> pd.DataFrame:
        """Return a method's rows of plans; of a method that is trained once per point, those of its largest budget."""
        own = self.plans[self.plans["method"] == method]
        return own[own["budget_flops"] == own.groupby("seed")["budget_flops"].transform("max")]

    def look(self, method: str) -> Style:
        """Return a method's color, marker and dash, the same in every figure; a variant has its base's color."""
        return styles(self.bases).get(method) or style(method)

    def subtitle(self, bars: str) -> str:
        """Return study, scale, number of seeds and protocol on two lines. bars: what the figure shows of several seeds."""
        first = self.points.iloc[0]
        n = int(self.savings["n"].max())
        seeds = "1 seed, no intervals" if n == 1 else f"n = {n} seeds, {bars}"
        return f"{first['study']}: {wording.scale(self.points)}\nprotocol {first['protocol']}, {seeds}"

    @property
    def footer(self) -> str:
        """Return tokens per parameter, what could be detected, the placebo's saving, and the records' origin.

        Of many commits two are named, or one if there are several kinds of hardware, so that the footer has two lines;
        provenance.csv has all.
        """
        most = 2 if self.points["hardware"].nunique() == 1 else 1
        rows = self.savings.to_dict("records")
        facts = captions.brief(rows, self.bases, captions.headline(self.from_scratch, self.bases))
        return f"{facts}; records: {wording.provenance(self.points, most=most)}"


def read(paths: dict[str, Path]) -> Tables:
    """Read the tables by name. Raises GrowBenchError if a file is missing."""
    found = {}
    for name, path in paths.items():
        if not path.is_file():
            raise GrowBenchError(f"{path}: no such table; run `growbench aggregate` for the study first")
        found[name] = pd.read_csv(path, dtype={"source": str, "target": str, "commit": str}, low_memory=False)
    found["source"] = found["plans"][found["plans"]["method"] == SOURCE]
    found["source_scores"] = found["scores"][found["scores"]["method"] == SOURCE]
    bases = dict(zip(found["plans"]["method"], found["plans"]["base"], strict=True))
    found["points"] = points = found["points"][
        found["points"]["fraction"] > 0
    ]  # curves begin at the first trained point
    found["from_scratch"] = points[points["method"].isin(captions.from_scratch(points, bases))]
    curve_of = dict(zip(points["run"], points["method"], strict=True))
    for name in ("curves", "plans"):
        runs = found[name]["method"]
        found[name] = found[name].assign(run=runs, method=runs.map(curve_of))
    for name in ("points", "scores", "curves", "plans"):
        found[name] = found[name][found[name]["method"] != SOURCE]
    return Tables(**found)
