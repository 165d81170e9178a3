"""savings.md: what every method saves, for people, with a caption that says what the numbers are."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pandas as pd

from growbench.analysis import wording
from growbench.analysis.frames.accounting import AT_ISO, ISO, against_iso, titles
from growbench.analysis.pages.markdown import grid

Row = Mapping[str, Any]
Columns = dict[str, Callable[[Row], str]]
ISO_NOTE = """\
- At scratch_iso's loss: the same with scratch_iso in scratch's place, for methods with a source and source_longer. Scratch \
has then spent the source's FLOPs as well, and the threshold is as low as all those FLOPs bring it.
"""


def page(table: pd.DataFrame, at_score: pd.DataFrame, points: pd.DataFrame) -> str:
    """Return savings.md for the frames savings, savings_score (may be empty) and points."""
    rows = table.to_dict("records")
    reuses = max(int(row["source_reuses"]) for row in rows)
    columns: Columns = {
        "method": lambda r: str(r["method"]),
        **_accountings(reuses),
        **({AT_ISO: partial(wording.saving, name=ISO, note=True)} if against_iso(rows[0]) else {}),
        "loss after growth": lambda r: wording.number(r["loss_after_growth"], 3),
        "final loss": lambda r: wording.number(r["final_loss"], 4) + wording.ends(r, "final_loss", 4),
        "final loss − scratch's": _gap,
        "n": lambda r: str(r["n"]),
        "published saving (paper, setting, grade)": lambda r: str(r["published"] or wording.MISSING),
    }
    parts = [f"# Savings: {rows[0]['study']}\n", _body(columns, rows), _caption(rows, points, reuses)]
    return "\n".join(parts if at_score.empty else [*parts, _at_score(at_score, reuses)])


def _body(columns: Columns, rows: list[Any]) -> str:
    return grid(list(columns), [[cell(row) for cell in columns.values()] for row in rows])


def _accountings(reuses: int) -> Columns:
    """Return the columns of a saving and its speed-up in every accounting."""
    names = titles(reuses)
    columns: Columns = {}
    for name, words in names.items():
        columns[f"saving, {words}"] = partial(wording.saving, name=name, kind="saving", note=name != "amortised")
        columns[f"speed-up, {words}"] = partial(wording.saving, name=name, kind="speedup")
    for name, words in list(names.items())[:2]:
        columns[f"saving, {words}, ELECTRA FLOPs"] = partial(wording.saving, name=f"electra_{name}", kind="saving")
    return columns


def _gap(row: Row) -> str:
    if row["method"] == "scratch":
        return "0 (baseline)"
    return wording.number(row["loss_gap"], 4, sign=True) + wording.ends(row, "loss_gap", 4, sign=True)


def _caption(rows: list[Any], points: pd.DataFrame, reuses: int) -> str:
    protocol, n = str(rows[0]["protocol"]), int(rows[0]["n"])
    return f"""\
- Scale: {wording.scale(points)} (layers, hidden). n = {n} pre-training seed(s). {wording.protocol(protocol)}.
- Saving = 1 − F / F_scratch, where the method first reaches scratch's {_which(rows)} validation loss \
({wording.number(rows[0]["threshold_loss"], 4)} nats); speed-up = F_scratch / F − 1. Interpolated in (log FLOPs, loss), never \
extrapolated: `not reached` if the method stays above that loss, `≥` if its first point is already below it.
- FLOPs: matmul, multiply + add = 2, backward = 2 × forward (ELECTRA's convention: backward = forward). Target only: the \
source is free. Everything counted: source, operator learning and all stages. Source / {max(reuses, 1)}: the source's cost \
is shared by the {reuses} method(s) of this study that start from it.
{ISO_NOTE if against_iso(rows[0]) else ""}- Final loss − scratch's: at the largest target budget, negative is better; the \
source's cost is not counted.
- {wording.intervals(n)}
- {wording.PUBLISHED_NOTE}.
- Records: {wording.provenance(points)}.
"""


def _which(rows: list[Any]) -> str:
    """Return what the threshold is in words: scratch's final loss, unless an earlier one is lower."""
    final = next(row["final_loss"] for row in rows if row["method"] == "scratch")
    return "final" if math.isclose(rows[0]["threshold_loss"], final, rel_tol=1e-12) else "lowest"


def _at_score(table: pd.DataFrame, reuses: int) -> str:
    rows = table.to_dict("records")
    columns: Columns = {
        "method": lambda r: str(r["method"]),
        **_accountings(reuses),
        "final average score": lambda r: wording.number(100 * r["score"], 1),
        "n": lambda r: str(r["n"]),
    }
    counts = sorted({int(row["points"]) for row in rows})
    few = " With one fine-tuned point, a saving is not reached or a lower bound." if counts[0] == 1 else ""
    return f"""\
## At equal score

{_body(columns, rows)}
- The same, where the method first reaches the average score over tasks that scratch finishes with \
({wording.number(100 * rows[0]["threshold_score"], 1)}), at the fine-tuned finished points \
({" to ".join(str(count) for count in dict.fromkeys([counts[0], counts[-1]]))} per method); interpolated in (log FLOPs, \
score).{few}
"""
