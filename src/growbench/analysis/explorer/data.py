"""What the page shows: finished points, and every saving that can be asked for, read by the same code as the tables'.

Between losses nothing is computed in the browser: the line moves over a fixed list of losses, and each has its savings here.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from growbench.analysis import wording
from growbench.analysis.figures.style import style
from growbench.analysis.frames.accounting import ACCOUNTINGS
from growbench.analysis.frames.measured import SCRATCH
from growbench.analysis.ladder.rung import Rung, bases
from growbench.analysis.ranking import is_control
from growbench.analysis.statistics.intervals import mean_interval
from growbench.analysis.statistics.savings import AT_FIRST, NOT_COMMON, Saving, measure, measure_loss
from growbench.records.layout import Layout
from growbench.spec import SOURCE

COUNTED = {"total": "everything counted", "target_only": "target only (the source is free)"}  # accounting: in words
BASELINES = ("scratch", "best from scratch, any size")
LOSSES = 32  # places of the line
TABLES = -1  # the place that stands for the tables' reading: the lowest loss that both reach, seed by seed
UNREACHED = "baseline does not reach it"
Rows = list[dict[str, Any]]


def losses(rung: Rung) -> np.ndarray:
    """Return the losses at which savings can be read, falling: from the highest first point to the lowest last one."""
    own = rung.points[(rung.points["method"] != SOURCE) & (rung.points["fraction"] > 0)]
    means = own.groupby(["method", "fraction"])["loss"].mean()
    return np.round(np.linspace(float(means.max()), float(means.min()), LOSSES), 4)


def points(rung: Rung, page: Layout) -> Rows:
    """Return one row per finished point and accounting: mean loss with its t interval, and where its record lies.

    page: whose folder holds the page; links are relative to it.
    """
    rows, up = [], "" if page.study == rung.study else f"../{rung.study}/"
    for accounting, words in COUNTED.items():
        for method in rung.bases:
            trained = rung.measured.own(method)
            priced = trained[trained[ACCOUNTINGS[accounting]].notna()]
            for _, own in priced.groupby("fraction", sort=True):
                ends = mean_interval(own["loss"].to_numpy(dtype=np.float64))
                rows.append({
                    "rung": rung.study, "counted": words, "method": method, "flops": float(own[ACCOUNTINGS[accounting]].mean()),
                    "loss": round(float(own["loss"].mean()), 4), "lo": _rounded(ends.lo, 4), "hi": _rounded(ends.hi, 4),
                    "tpp": wording.tpp(own["tpp"].mean()), "n": len(own),
                    "record": f"{up}{Layout(rung.study).run_record(own['run'].iloc[0], int(own['seed'].iloc[0])).relative_to(Layout(rung.study).root)}",
                })  # fmt: skip
    return rows


def savings(rung: Rung) -> Rows:
    """Return one row per method, accounting, baseline and place of the line: the saving in percent with its t interval."""
    rows, levels = [], losses(rung)
    for accounting, words in COUNTED.items():
        cost = ACCOUNTINGS[accounting]
        for baseline in BASELINES:
            curves = [rung.measured.curve(SCRATCH, cost)] if baseline == SCRATCH else rung.measured.frontier()
            for method in (name for name in rung.bases if name != SCRATCH):
                own = rung.measured.curve(method, cost)
                found = {TABLES: measure(own, *curves)}
                found |= {k: measure_loss(own, float(loss), *curves) for k, loss in enumerate(levels)}
                about = {"rung": rung.study, "counted": words, "baseline": baseline, "method": method}
                rows += [{**about, "place": place, **_shown(saving)} for place, saving in found.items()]
    return rows


def looks(rungs: Sequence[Rung]) -> dict[str, str]:
    """Return the color of each method, growing ones first."""
    found = bases(rungs)
    return {name: style(name, found[name]).color for name in sorted(found, key=lambda name: is_control(found[name]))}


def _shown(saving: Saving) -> dict[str, Any]:
    """Return a saving as the page plots and prints it."""
    if saving.value is None:
        return {"text": UNREACHED if saving.status == NOT_COMMON else saving.status}
    values = {"saving": saving.value, "lo": saving.interval.lo, "hi": saving.interval.hi}
    drawn = {key: _rounded(value, 5) for key, value in values.items() if value is not None}
    text = wording.saved(saving.value, values["lo"], values["hi"], bound=saving.status == AT_FIRST)
    return {"text": text, **drawn}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(float(value), digits)
