"""What every caption says: scale, tokens per parameter, seeds, what could be detected, the placebo, and the records' origin."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from growbench.analysis import wording
from growbench.analysis.frames.accounting import FRONTIER
from growbench.analysis.frames.measured import FROM_SCRATCH, LONGER
from growbench.analysis.ranking import is_control
from growbench.spec import SOURCE

Row = Mapping[str, Any]
PLACEBO = "placebo"
LIMIT = 0.01  # of a placebo's saving, above which a study's savings are not to be published


def lines(points: pd.DataFrame, savings: Sequence[Row], bases: Mapping[str, str]) -> list[str]:
    """Return the sentences that stand below every table.

    points: the points frame. savings: rows of the savings frame. bases: by method, the method that it is a variant of.
    """
    targets, n = points[points["method"] != SOURCE], int(savings[0]["n"])
    return [
        f"Scale: {wording.scale(targets)} (layers, hidden). n = {n} pre-training seed(s). "
        f"{wording.protocol(str(targets['protocol'].iloc[0]))}. {tokens(savings, bases)}"
        + (" Tokens: the patches of an image, and its class token." if wording.of_images(targets) else ""),
        wording.intervals(n),
        f"{detectable(savings, bases, headline(points, bases))} {placebo(savings, bases)}",
        f"Records: {wording.provenance(targets)}.",
    ]


def headline(points: pd.DataFrame, bases: Mapping[str, str]) -> str:
    """Return the accounting of the headline: the frontier if models of two sizes were trained from scratch, else scratch.

    points: with the source's rows.
    """
    rows = points[points["method"].isin(from_scratch(points, bases))]
    sizes = rows.assign(own=lambda of: np.where(of["method"] == SOURCE, of["source"], of["target"]))
    return FRONTIER if sizes["own"].nunique() > 1 else "total"


def from_scratch(points: pd.DataFrame, bases: Mapping[str, str]) -> list[str]:
    """Return the methods of the points frame that make the frontier; the source among them if its cost is known."""
    priced = points.loc[points["flops_total"].notna(), "method"]
    return [name for name in dict.fromkeys(priced) if name == SOURCE or bases.get(name, name) in FROM_SCRATCH]


def brief(savings: Sequence[Row], bases: Mapping[str, str], name: str) -> str:
    """Return tokens per parameter, the detectable saving and the placebo's in one line. name: the accounting of the headline."""
    own, source, found = *_tokens(savings, bases), _detectable(savings, bases, name)
    parts = [f"tokens per parameter: target {own}{f', source {source}' if source else ''}"]
    if found:
        parts.append(f"detectable {_range(found, wording.number)} %")
    saved = [f"{row['method']} {wording.saving(row, 'total')}" for row in placebos(savings, bases)]
    return "; ".join([*parts, *(saved or ["no placebo"])])


def tokens(savings: Sequence[Row], bases: Mapping[str, str]) -> str:
    """Return the tokens per parameter of the targets and of the source at their last points."""
    own, source = _tokens(savings, bases)
    return f"Tokens per parameter at the last point: target {own}{f'; source {source}' if source else ''}."


def _tokens(savings: Sequence[Row], bases: Mapping[str, str]) -> tuple[str, str]:
    targets = [row for row in savings if bases.get(row["method"], row["method"]) != LONGER]
    own, source = ([row[key] for row in targets if not pd.isna(row[key])] for key in ("tpp", "source_tpp"))
    return _range(own, wording.tpp), _range(source, wording.tpp)


def _range(values: Sequence[float], show: Callable[[float], str]) -> str:
    return " to ".join(dict.fromkeys(show(end(values)) for end in (min, max) if values))


def detectable(savings: Sequence[Row], bases: Mapping[str, str], name: str) -> str:
    """Return the range of what the growing methods' tests could detect. name: the accounting."""
    found = _detectable(savings, bases, name)
    if not found:
        return "Minimum detectable saving: not known."
    middle = f", median {wording.number(float(np.median(found)))} %" if len(found) > 2 else ""
    return f"Minimum detectable saving (power 0.8, by method): {_range(found, wording.number)} %{middle}."


def _detectable(savings: Sequence[Row], bases: Mapping[str, str], name: str) -> list[float]:
    rows = [row for row in savings if not is_control(bases.get(row["method"], row["method"]))]
    values = [row.get(f"detectable_{name}") for row in rows]
    return [100 * float(value) for value in values if value is not None and not pd.isna(value)]


def placebo(savings: Sequence[Row], bases: Mapping[str, str]) -> str:
    """Return what the placebos save, or that none was run."""
    rows = placebos(savings, bases)
    if not rows:
        return "No placebo was run."
    found = "; ".join(f"{row['method']} saves {wording.saving(row, 'total')}" for row in rows)
    above = " More than 1 %: no saving of this study is to be published." if any(map(fails, rows)) else ""
    return f"Placebo (should save 0): {found}.{above}"


def placebos(savings: Sequence[Row], bases: Mapping[str, str]) -> list[Row]:
    """Return the rows of the placebo and its variants."""
    return [row for row in savings if bases.get(row["method"], row["method"]) == PLACEBO]


def fails(row: Row) -> bool:
    """Whether a placebo saves or loses more than LIMIT, or is not known to save less."""
    return not abs(float(row["saving_total"] if row["saving_total"] is not None else np.nan)) <= LIMIT
