"""savings.md: what every method saves, for people, with a caption that says what the numbers are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd

from growbench.analysis import captions, wording
from growbench.analysis.frames.accounting import AT_FRONTIER, AT_ISO, FRONTIER, ISO, against_iso, titles
from growbench.analysis.pages import differences
from growbench.analysis.pages.markdown import grid
from growbench.analysis.ranking import ranked

Row = Mapping[str, Any]
Columns = dict[str, Callable[[Row], str]]
FRONTIER_NOTE = """\
- The frontier, at any FLOPs: the lowest loss of all models of this study that were trained from scratch, of any size ({}). It \
is the baseline of the first column; scratch, of the target's size, of the next.
"""
ISO_NOTE = """\
- At scratch_iso's loss: the same with scratch_iso in scratch's place, for methods with a source and source_longer. Scratch \
has then spent the source's FLOPs as well.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Frames:
    """The frames that the page is made of, as their modules build them, and the study's methods.

    savings, differences, at_score (may be empty), points (with the source's rows): frames.
    bases: by method, the method that it is a variant of, or itself.
    counted: whether costs of scores include those of fine-tuning.
    """

    savings: pd.DataFrame
    differences: pd.DataFrame
    at_score: pd.DataFrame
    points: pd.DataFrame
    bases: Mapping[str, str]
    counted: bool = False


def page(made: Frames) -> str:
    """Return savings.md."""
    rows = made.savings.to_dict("records")
    name, reuses = captions.headline(made.points, made.bases), max(int(row["source_reuses"]) for row in rows)
    parts = [
        f"# Savings: {rows[0]['study']}\n",
        tables(_savings(rows, name, reuses), rows, made.bases),
        _caption(made, rows, name, reuses),
        f"## How firm they are\n\n{tables(_firm(rows, name, made.points), rows, made.bases)}",
        _firm_caption(rows),
        f"## Losses and speed-ups\n\n{tables(_losses(reuses), rows, made.bases)}",
        differences.table(made.differences, rows, made.bases),
        "" if made.at_score.empty else _at_score(made, reuses),
    ]
    return "\n".join(part for part in parts if part)


def tables(columns: Columns, rows: Sequence[Any], bases: Mapping[str, str]) -> str:
    """Return a table of the growing methods, the largest saving first, and one of the controls."""
    growing, controls = ranked(rows, bases)
    found = [_body(columns, group) for group in (growing, controls)]
    return "\n".join([found[0], "Controls:\n", found[1]] if growing else found[1:])


def _body(columns: Columns, rows: Sequence[Any]) -> str:
    return grid(list(columns), [[cell(row) for cell in columns.values()] for row in rows])


def _savings(rows: Sequence[Row], name: str, reuses: int) -> Columns:
    against = {AT_FRONTIER: partial(wording.saving, name=FRONTIER, note=True)} if name == FRONTIER else {}
    iso = {AT_ISO: partial(wording.saving, name=ISO, note=True)} if against_iso(dict(rows[0])) else {}
    return {
        "method": lambda r: str(r["method"]),
        **against,
        "saving, everything counted": partial(wording.saving, name="total", note=True),
        "saving, target only": partial(wording.saving, name="target_only", note=True),
        f"saving, {titles(reuses)['amortised']}": partial(wording.saving, name="amortised"),
        **iso,
        "p, Holm": lambda r: wording.p_value(r[f"p_holm_{name}"]),
        "among the best": lambda r: wording.yes_no(r["best"]),
        "tokens per parameter": lambda r: wording.tpp(r["tpp"]),
        "the source's": lambda r: wording.tpp(r["source_tpp"]),
        "n": lambda r: str(r["n"]),
        "published saving (paper, setting, grade)": lambda r: str(r["published"] or wording.MISSING),
    }


def _second(rows: Sequence[Row], name: str, points: pd.DataFrame) -> str:
    """Return what the second interval of an accounting is over; empty if no row has one."""
    known = any(not pd.isna(row.get(f"saving_{name}_multi_lo")) for row in rows)
    return f"over seeds × {'images' if wording.of_images(points) else 'documents'}" if known else ""


def _firm(rows: Sequence[Row], name: str, points: pd.DataFrame) -> Columns:
    """Return the columns that say how far a saving can be trusted. name: the accounting of the headline."""
    second = _second(rows, name, points)
    over = {second: lambda r: wording.ends(r, f"saving_{name}_multi", 1, scale=100).strip() or wording.MISSING}
    return {
        "method": lambda r: str(r["method"]),
        "saving": partial(wording.saving, name=name),
        **(over if second else {}),
        "detectable": lambda r: wording.percent(r.get(f"detectable_{name}")),
        "level with it (2 % of FLOPs)": lambda r: wording.yes_no(r.get(f"level_{name}")),
        "on a monotone fit": lambda r: wording.percent(r[f"saving_{name}_fit"]),
        "against scratch": partial(wording.saving, name="total"),
        "if scratch's LR were one step better": lambda r: wording.percent(r["saving_total_better_lr"]),
        "if its warm-up were": lambda r: wording.percent(r["saving_total_better_warmup"]),
    }


def _losses(reuses: int) -> Columns:
    names = titles(reuses)
    return {
        "method": lambda r: str(r["method"]),
        "loss after growth": lambda r: wording.number(r["loss_after_growth"], 3),
        "final loss": lambda r: wording.number(r["final_loss"], 4) + wording.ends(r, "final_loss", 4),
        "final loss − scratch's": _gap,
        **{f"speed-up, {words}": partial(wording.saving, name=name, kind="speedup") for name, words in names.items()},
        **{
            f"saving, {words}, ELECTRA FLOPs": partial(wording.saving, name=f"electra_{name}")
            for name, words in list(names.items())[:2]
        },
    }


def _gap(row: Row) -> str:
    if row["method"] == "scratch":
        return "0 (baseline)"
    return wording.number(row["loss_gap"], 4, sign=True) + wording.ends(row, "loss_gap", 4, sign=True)


def _caption(made: Frames, rows: Sequence[Row], name: str, reuses: int) -> str:
    scale, *others = captions.lines(made.points, rows, made.bases)
    second = _second(rows, name, made.points)
    larger = f" (the larger one of the tests over seeds and {second})" if second else ""
    return f"""\
- {scale}
- Saving = 1 − F / F_baseline at the lowest loss that both reach; speed-up = F_baseline / F − 1. F and F_baseline are what each \
has spent when it first gets there: wherever the method reaches the baseline's final loss, this is the papers' definition. \
Interpolated in (log FLOPs, loss), never extrapolated: `≥` if the method's first point is already below that loss, \
`not reached` if the baseline's is. Mean over seeds of log(F / F_baseline).
- FLOPs: matmul, multiply + add = 2, backward = 2 × forward (ELECTRA's convention: backward = forward). Target only: the \
source is free. Everything counted: source, operator learning and all stages. Source / {max(reuses, 1)}: the source's cost \
is shared by the {reuses} method(s) of this study that start from it.
{FRONTIER_NOTE.format(", ".join(captions.from_scratch(made.points, made.bases))) if name == FRONTIER else ""}{ISO_NOTE if against_iso(dict(rows[0])) else ""}\
- p: of no saving in the first column{larger}, corrected by Holm for all growing methods. Among the best: in the model \
confidence set of the growing methods' costs (95 %).
{"".join(f"- {line}{chr(10)}" for line in others)}- {wording.PUBLISHED_NOTE}.
"""


def _firm_caption(rows: Sequence[Row]) -> str:
    searched = any(not pd.isna(row["saving_total_better_lr"]) for row in rows)
    better = (
        "One step better: scratch's losses are lowered by what the best trial of its search gains over its better neighbor. "
        "A saving that such a step undoes stands only if worse trials lie on both sides of the best one (search.csv)."
        if searched
        else "Scratch's LR was not searched, so nobody knows what a better one would give."
    )
    return f"""\
- Detectable: the smallest saving that the test finds with a probability of 0.8. Level: both one-sided tests at 5 % say that \
the FLOPs differ by less than 2 % (TOST); `no` means that this is not shown, not that they differ.
- {better}
"""


def _at_score(made: Frames, reuses: int) -> str:
    rows = made.at_score.to_dict("records")
    names = titles(reuses)
    columns: Columns = {
        "method": lambda r: str(r["method"]),
        **{f"saving, {words}": partial(wording.saving, name=name) for name, words in names.items()},
        "final average score": lambda r: wording.number(100 * r["score"], 1),
        "n": lambda r: str(r["n"]),
    }
    counts = sorted({int(row["points"]) for row in rows})
    if counts[-1] == 1:
        return "## At equal score\n\nOne finished point of each method was fine-tuned, so no saving can be read.\n"
    return f"""\
## At equal score

{tables(columns, rows, made.bases)}
- The same with the average score over tasks in place of the loss, against scratch, at the fine-tuned finished points \
({" to ".join(str(count) for count in dict.fromkeys([counts[0], counts[-1]]))} per method), read in the same \
way. Scratch's highest: {wording.number(100 * rows[0]["threshold_score"], 1)}. {wording.finetuning(made.counted)}
"""
