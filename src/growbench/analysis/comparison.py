"""Some methods of a study against others: what one saves against the other, paired by seed, everything counted, and a verdict.

p values are corrected (Holm) for the comparisons that were asked for, not for all pairs of the study.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from growbench.analysis import captions, stability, wording
from growbench.analysis.frames import differences
from growbench.analysis.frames.measured import SCRATCH, Measured, interval_of
from growbench.analysis.pages.markdown import grid
from growbench.analysis.statistics.intervals import LEVEL
from growbench.analysis.statistics.savings import AT_FIRST
from growbench.spec import SOURCE

BETTER, WORSE, LEVEL_WITH, OPEN = "better than", "worse than", "level with", "not distinguishable from"
HEAD = ("method", "verdict", "other", "saving", "p (Holm)", "detectable")


def build(measured: Measured, methods: Sequence[str], against: Sequence[str]) -> pd.DataFrame:
    """Return one row per method and other method: the columns of the differences frame, and `verdict`.

    A method is better if it saves FLOPs and the corrected p value is below 0.05, and worse if it loses FLOPs so. Otherwise the
    two are level if the test of that says so, and not distinguishable if it does not.
    """
    pairs = [(name, other) for name in methods for other in against if other != name]
    made = differences.corrected([differences.row(measured, *pair) for pair in pairs])
    return pd.DataFrame([row | {"verdict": verdict(row)} for row in made], columns=[*differences.COLUMNS, "verdict"])


def verdict(row: Mapping[str, Any]) -> str:
    """Return the verdict of a row of the differences frame whose p value is corrected."""
    if row["p_holm"] is not None and not pd.isna(row["p_holm"]) and row["p_holm"] < 1 - LEVEL:
        return BETTER if row["saving"] > 0 else WORSE
    return LEVEL_WITH if row["level"] is True else OPEN


def cells(table: pd.DataFrame) -> list[list[str]]:
    """Return the rows as they are printed, under HEAD."""
    return [
        [row["method"], row["verdict"], row["other"], _saving(row), wording.p_value(row["p_holm"]), wording.percent(row["detectable"])]
        for row in table.to_dict("records")
    ]  # fmt: skip


def _saving(row: Mapping[Any, Any]) -> str:
    if row["saving"] is None or pd.isna(row["saving"]):
        return str(row["status"])
    own = interval_of(row)
    return wording.saved(row["saving"], row[f"{own}lo"], row[f"{own}hi"], bound=row["status"] == AT_FIRST)


def notes(measured: Measured, table: pd.DataFrame, restored: float | None) -> list[str]:
    """Return the sentences that stand below the rows. restored: how far a source that was trained again is off (nats)."""
    points = measured.points[measured.points["method"] != SOURCE]
    placebos = [name for name, base in measured.bases.items() if base == captions.PLACEBO and measured.has(name)]
    made = [
        "Saving: of the FLOPs of the other, at the lowest loss that both reach, everything counted; 95 % intervals, paired by "
        "seed. p: Holm's correction over these comparisons. Detectable: the smallest saving that would be found with power 0.8.",
        f"Scale: {wording.scale(points)} (layers, hidden). n = {int(table['n'].max())} pre-training seed(s). Tokens per "
        f"parameter of the last point: {wording.tpp(measured.final(SCRATCH)['tpp'].max())} from scratch.",
    ]
    for name in placebos:
        saved = differences.row(measured, name, SCRATCH)["saving"]
        off = " It is above 1 %, so no saving of this study is a finding." if abs(saved or 0.0) > captions.LIMIT else ""
        made.append(f"Placebo against scratch: {wording.percent(saved)}.{off}")
    if not placebos:
        made.append("No placebo was run.")
    if found := stability.sentence(measured):
        made.append(found)
    if restored is not None:
        made.append(f"A source was trained again for a clone; its loss is {restored:.2g} nats from its record's.")
    return [*made, f"Records: {wording.provenance(points)}."]


def markdown(study: str, table: pd.DataFrame, sentences: Sequence[str]) -> str:
    """Return a block for a paper or a pull request."""
    listed = "\n".join(f"- {sentence}" for sentence in sentences)
    return f"**{study}**\n\n{grid(list(HEAD), cells(table), left=(0, 1, 2))}\n{listed}\n"
