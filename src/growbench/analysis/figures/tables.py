"""The tables that figures read."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from growbench.analysis import captions, wording
from growbench.analysis.figures.style import Style, style
from growbench.errors import GrowBenchError
from growbench.spec import SOURCE


@dataclass(frozen=True, kw_only=True, slots=True)
class Tables:
    """A study's tables as frames.

    points, scores, curves, plans: the tables of these names without the source's own run.
    savings, savings_by_point, runs: the tables of these names.
    source: the source's rows of the plans table.
    from_scratch: the rows of the points table that make the frontier, the source's included.
    attention_maps, attention_distance: empty in a study that does not ask for them.
    """

    points: pd.DataFrame
    savings: pd.DataFrame
    savings_by_point: pd.DataFrame
    scores: pd.DataFrame
    curves: pd.DataFrame
    runs: pd.DataFrame
    plans: pd.DataFrame
    source: pd.DataFrame
    from_scratch: pd.DataFrame
    attention_maps: pd.DataFrame = field(default_factory=pd.DataFrame)
    attention_distance: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def methods(self) -> list[str]:
        """Return the methods in the order of the savings table."""
        return [str(name) for name in self.savings["method"]]

    @property
    def bases(self) -> dict[str, str]:
        """Return by method, and by run, the method that it is a variant of, or itself."""
        frames = (self.plans, self.savings)
        return {name: base for frame in frames for name, base in zip(frame["method"], frame["base"], strict=True)}

    def look(self, method: str) -> Style:
        """Return a method's color, marker and dash, the same in every figure; a variant has its base's color."""
        return style(method, self.bases.get(method))

    def subtitle(self, bars: str) -> str:
        """Return study, scale, number of seeds and protocol on two lines. bars: what the figure shows of several seeds."""
        first = self.points.iloc[0]
        n = int(self.savings["n"].max())
        seeds = "1 seed, no intervals" if n == 1 else f"n = {n} seeds, {bars}"
        return f"{first['study']}: {wording.scale(self.points)}\nprotocol {first['protocol']}, {seeds}"

    @property
    def footer(self) -> str:
        """Return tokens per parameter, what could be detected, the placebo's saving, and the records' origin."""
        rows = self.savings.to_dict("records")
        facts = captions.brief(rows, self.bases, captions.headline(self.from_scratch, self.bases))
        return f"{facts}; records: {wording.provenance(self.points)}"


def read(paths: dict[str, Path]) -> Tables:
    """Read the tables by name. Raises GrowBenchError if a file is missing."""
    found = {}
    for name, path in paths.items():
        if not path.is_file():
            raise GrowBenchError(f"{path}: no such table; run `growbench aggregate` for the study first")
        found[name] = pd.read_csv(path, dtype={"source": str, "target": str, "commit": str}, low_memory=False)
    found["source"] = found["plans"][found["plans"]["method"] == SOURCE]
    bases = dict(zip(found["plans"]["method"], found["plans"]["base"], strict=True))
    points = found["points"]
    found["from_scratch"] = points[points["method"].isin(captions.from_scratch(points, bases))]
    for name in ("points", "scores", "curves", "plans"):
        found[name] = found[name][found[name]["method"] != SOURCE]
    return Tables(**found)
