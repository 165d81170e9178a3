"""Cells: a number of the study, or a published one, with the text that shows it."""

from dataclasses import replace

from growbench.analysis import wording
from growbench.analysis.papers.shared.results import Results, Row
from growbench.analysis.papers.shared.table import EMPTY, Cell
from growbench.analysis.statistics.intervals import Floats, mean_interval
from growbench.analysis.statistics.savings import AT_FIRST, NOT_REACHED
from growbench.analysis.statistics.savings import BASELINE as IS_BASELINE

NOT_RUN = "not run"
BASELINE = Cell(text="0 (baseline)", value=0.0, status=IS_BASELINE)


def word(words: str) -> Cell:
    """Return a cell of text."""
    return Cell(text=words, value=words)


def number(value: float | None, digits: int, sign: bool = False, scale: float = 1.0, unit: str = "") -> Cell:
    """Return a cell that shows `scale` times the value with this many decimals; empty for None."""
    if value is None:
        return EMPTY
    return Cell(text=wording.number(scale * value, digits, sign) + unit, value=float(value))


def share(value: float | None) -> Cell:
    """Return a share as percent."""
    return number(value, 1, scale=100, unit=" %")


def points100(value: float | None) -> Cell:
    """Return a score (0 to 1) times 100."""
    return number(value, 1, scale=100)


def printed(value: float) -> Cell:
    """Return a published score times 100 with the digits that papers print."""
    return Cell(text=f"{100 * value:.4g}", value=value)


def flops(value: float | None) -> Cell:
    """Return FLOPs with three digits."""
    return EMPTY if value is None else Cell(text=f"{value:.3g}", value=float(value))


def mean(values: Floats, digits: int, sign: bool = False, scale: float = 1.0, unit: str = "") -> Cell:
    """Return the mean over seeds with its interval, shown `scale` times; empty without values."""
    if not len(values):
        return EMPTY
    ends, middle = mean_interval(values), float(values.mean())
    shown = wording.number(scale * middle, digits, sign) + unit
    if ends.lo is not None and ends.hi is not None:
        lo, hi = (wording.number(scale * end, digits, sign) for end in (ends.lo, ends.hi))
        shown += f" [{lo}, {hi}]"
    return Cell(text=shown, value=middle, lo=ends.lo, hi=ends.hi)


def saved(row: Row | None, accounting: str, kind: str = "saving") -> Cell:
    """Return a saving or speed-up of a savings row, as savings.md writes it."""
    if row is None:
        return EMPTY
    ends = {end: row.get(f"{kind}_{accounting}_{end}") for end in ("lo", "hi")}
    return Cell(
        text=wording.saving(row, accounting, kind),
        value=row[f"{kind}_{accounting}"],
        **ends,
        status=row[f"status_{accounting}"],
    )


def spent(results: Results, name: str) -> Cell:
    """Return the FLOPs that a method spends to reach scratch's final loss, the source being free, if it does."""
    row, scratch = results.savings[name], results.savings["scratch"]
    status, saving = row["status_target_only"], row["saving_target_only"]
    if saving is None or row["final_loss"] > row["threshold_loss"] * (1 + 1e-9):
        return Cell(text=NOT_REACHED, status=NOT_REACHED)
    cell = flops((1 - saving) * scratch["flops"])
    return replace(cell, text=f"≤ {cell.text}" if status == AT_FIRST else cell.text, status=status)


def score(row: Row | None) -> Cell:
    """Return a row of the scores frame: mean ± standard deviation over runs, times 100; a star marks a subset."""
    if row is None:
        return EMPTY
    spread = "" if row["std"] is None else f" ± {100 * row['std']:.1f}"
    star = "*" if row["subset"] else ""
    return Cell(text=f"{100 * row['mean']:.1f}{spread}{star}", value=row["mean"], lo=row["lo"], hi=row["hi"])


def against_scratch(results: Results, name: str) -> Cell:
    """Return a method's final loss minus scratch's, paired by seed."""
    return _difference(results.last(name, "loss"), results.last("scratch", "loss"))


def against_source(results: Results, name: str) -> Cell:
    """Return the loss right after growth minus the finished source's, both over all of the validation text, paired by seed."""
    return _difference(results.last(name, "grown_loss"), results.source_ends(name))


def _difference(own: Floats, base: Floats) -> Cell:
    return mean(own - base, 4, sign=True) if len(own) and len(own) == len(base) else EMPTY
