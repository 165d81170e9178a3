"""The predictions for the ladder (docs/LOG.md, 2026-11-26), held against its rungs.

A prediction holds if the whole 95 % interval lies on the predicted side of its threshold, and fails if all of it lies on the other
side. Anything else is undecided, and what has not been run is not measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from growbench.analysis.frames.measured import LONGER, interval_of
from growbench.analysis.ladder import frames
from growbench.analysis.ladder.rung import Rung
from growbench.analysis.statistics.intervals import Floats
from growbench.analysis.statistics.paired import estimate
from growbench.analysis.statistics.savings import AT_FIRST

HOLDS, FAILS, UNDECIDED, MISSING = "holds", "fails", "undecided", "not measured"
A, DROPOUT, COPY, FPI = "ladder-a", "ladder-a-dropout", "direct_copy", "bert2bert_fpi"
SLACK = 0.3  # of H3


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """One prediction about one number.

    name: H1 to H5, with a letter if it has several parts. about: what the number is. low, high: it is predicted to lie above
    the one and below the other. value, lo, hi: what was measured, and its interval; None if there is none. bound: whether
    value is only a lower bound, so that its interval is open.
    """

    name: str
    about: str
    low: float = -np.inf
    high: float = np.inf
    value: float | None = None
    lo: float | None = None
    hi: float | None = None
    bound: bool = False

    @property
    def verdict(self) -> str:
        """Return what the measurement says of the prediction."""
        if self.value is None or pd.isna(self.value):
            return MISSING
        lo, hi = (self.value if end is None or pd.isna(end) else end for end in (self.lo, self.hi))
        hi = np.inf if self.bound else hi
        if self.low < lo and (hi < self.high or self.high == np.inf):
            return HOLDS
        return FAILS if hi <= self.low or lo >= self.high else UNDECIDED

    def row(self) -> dict[str, Any]:
        """Return the row of the claims table."""
        return {
            "claim": self.name, "about": self.about, "above": self.low, "below": self.high, "value": self.value,
            "lo": self.lo, "hi": self.hi, "verdict": self.verdict,
        }  # fmt: skip


def build(rungs: Mapping[str, Rung]) -> pd.DataFrame:
    """Return one row per prediction. rungs: by the study's name."""
    made = [*_h1(rungs), _h2(rungs), *_h3(rungs), _h4(rungs), *_h5(rungs)]
    return pd.DataFrame([claim.row() for claim in made])


def _h1(rungs: Mapping[str, Rung]) -> list[Claim]:
    early, late = (rungs[A].row(COPY, "total", tpp) if A in rungs else None for tpp in (5.0, 20.0))
    return [
        Claim(name="H1a", about="A: saving of direct copy at 5 tpp", low=0.05, **_ends(early)),
        Claim(name="H1b", about="A: saving of direct copy at 20 tpp", low=-0.05, high=0.05, **_ends(late)),
    ]


def _h2(rungs: Mapping[str, Rung]) -> Claim:
    found = _gap(rungs.get(A), FPI, LONGER)
    return Claim(name="H2", about="A: final loss of FPI minus that of source_longer, nats", low=0.0, **found)


def _h3(rungs: Mapping[str, Rung]) -> list[Claim]:
    made = []
    for letter, name in zip("abc", ("ladder-a", "ladder-b", "ladder-c"), strict=True):
        rows = frames.crossings([rungs[name]]).to_dict("records") if name in rungs else []
        value = float(rows[0]["ratio"]) if rows else None
        about = f"{name[-1].upper()}: crossing of scratch and the small model, over 20 N_s / N_t tpp"
        made.append(Claim(name=f"H3{letter}", about=about, low=1 - SLACK, high=1 + SLACK, value=value))
    return made


def _h4(rungs: Mapping[str, Rung]) -> Claim:
    """The slope is predicted not to be above 0."""
    rows = frames.sizes([rungs[name] for name in ("ladder-a", "ladder-b", "ladder-c") if name in rungs])
    rows = rows[(rows["method"] == COPY) & (rows["accounting"] == "total")]
    found = {} if rows.empty else {"value": rows["slope"].iloc[0], "lo": rows["lo"].iloc[0], "hi": rows["hi"].iloc[0]}
    about = "A, B, C: slope of direct copy's saving at 5 tpp over log N_t"
    return Claim(name="H4", about=about, high=0.0, **found)


def _h5(rungs: Mapping[str, Rung]) -> list[Claim]:
    """In nats: (FPI - x) - half of (FPI - direct copy), above 0 if x closes more than half of the gap."""
    made = []
    for letter, rung, method in (("a", A, "lemon"), ("b", DROPOUT, FPI)):
        about = f"A: nats by which {'LEMON with noise' if method == 'lemon' else 'FPI, random map and dropout'} closes more than half of FPI's gap to direct copy"
        losses = [
            rungs[name].final(of) if name in rungs else np.empty(0)
            for name, of in ((A, FPI), (rung, method), (A, COPY))
        ]
        made.append(Claim(name=f"H5{letter}", about=about, low=0.0, **_half(losses)))
    return made


def _half(losses: list[Any]) -> dict[str, Any]:
    fpi, own, copy = losses
    if not len(fpi) or not len(fpi) == len(own) == len(copy):
        return {}
    return _mean((fpi - own) - 0.5 * (fpi - copy))


def _gap(rung: Rung | None, method: str, other: str) -> dict[str, Any]:
    if rung is None:
        return {}
    own, theirs = rung.final(method), rung.final(other)
    if not len(own) or len(own) != len(theirs):
        return {}
    return _mean(own - theirs)


def _mean(values: Floats) -> dict[str, Any]:
    """Return the mean over seeds and its t interval."""
    found = estimate(values)
    return {"value": found.mean, "lo": found.interval().lo, "hi": found.interval().hi}


def _ends(row: dict[str, Any] | None) -> dict[str, Any]:
    """Return value and interval of a row of savings_by_point, over seeds and documents if documents are known."""
    if row is None:
        return {}
    own = interval_of(row)
    return {"value": row["saving"], "lo": row[f"{own}lo"], "hi": row[f"{own}hi"], "bound": row["status"] == AT_FIRST}
