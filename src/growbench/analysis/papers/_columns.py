"""Columns that several tables share: a heading, our number for a method, and the metric a paper prints in its place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from growbench.analysis.frames.scores import AVERAGE
from growbench.analysis.pages import markdown
from growbench.analysis.papers._model import EMPTY, Cell, Head, Row
from growbench.analysis.published import Entry
from growbench.analysis.results import Results
from growbench.analysis.results import Row as Found
from growbench.analysis.statistics.intervals import Floats, mean_interval
from growbench.analysis.statistics.savings import AT_FIRST

NOT_RUN = "not run"
BASELINE = Cell(text="0 (baseline)", value=0.0, status="baseline")
LEAD = (Head(key="method", text="method"),)
ORIGIN = (Head(key="origin", text="from", width="5cm"), Head(key="grade", text="grade"))
Ours = Callable[[Results, str], Cell]
PUBLISHED_NOTE = (
    "Published values come from other models, data and budgets: another scale, to be read beside ours, not against it. "
    "[S] read in the paper or its code, [S2] second hand; – where none of these is in hand."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """ours: the cell of a method of the study. metrics: what papers call it (the first that is there counts).
    show: a published number as a cell.
    """

    head: Head
    ours: Ours
    metrics: tuple[str, ...] = ()
    show: Callable[[float], Cell] | None = None

    def published(self, entry: Entry) -> Cell:
        """Return what the entry has for this column."""
        value = next((entry.values[m] for m in self.metrics if m in entry.values), None)
        return EMPTY if value is None or self.show is None else self.show(value)


def word(text: str) -> Cell:
    """Return a cell of text."""
    return Cell(text=text, value=text)


def number(value: float | None, digits: int, sign: bool = False, scale: float = 1.0, unit: str = "") -> Cell:
    """Return a cell that shows `scale` times the value with so many decimals; empty for None."""
    if value is None:
        return EMPTY
    return Cell(text=markdown.number(scale * value, digits, sign) + unit, value=float(value))


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
    text = markdown.number(scale * middle, digits, sign) + unit
    if ends.lo is not None and ends.hi is not None:
        lo, hi = (markdown.number(scale * end, digits, sign) for end in (ends.lo, ends.hi))
        text += f" [{lo}, {hi}]"
    return Cell(text=text, value=middle, lo=ends.lo, hi=ends.hi)


def saved(row: Found | None, accounting: str, kind: str = "saving") -> Cell:
    """Return a saving or speed-up of a savings row, as savings.md writes it."""
    if row is None:
        return EMPTY
    ends = {end: row.get(f"{kind}_{accounting}_{end}") for end in ("lo", "hi")}
    status = row[f"status_{accounting}"]
    return Cell(
        text=markdown.saving_text(row, accounting, kind), value=row[f"{kind}_{accounting}"], **ends, status=status
    )


def saving(
    accounting: str, text: str, metrics: Sequence[str] = (), kind: str = "saving", score: bool = False
) -> Column:
    """Return the column of one accounting's savings (or speed-ups), at equal loss or at equal score."""

    def ours(results: Results, name: str) -> Cell:
        return saved((results.at_score if score else results.savings).get(name), accounting, kind)

    key = f"{kind}_{accounting}" + ("_at_score" if score else "")
    return Column(head=Head(key=key, text=text), ours=ours, metrics=tuple(metrics), show=share)


def spent(results: Results, name: str) -> Cell:
    """Return the FLOPs a method spends on reaching scratch's final loss, the source being free."""
    row, scratch = results.savings[name], results.savings["scratch"]
    status, saving = row["status_target_only"], row["saving_target_only"]
    if saving is None:
        return Cell(text=status, status=status)
    cell = flops((1 - saving) * scratch["flops"])
    return replace(cell, text=f"≤ {cell.text}", status=status) if status == AT_FIRST else replace(cell, status=status)


FLOPS = Column(head=Head(key="flops", text="FLOPs"), ours=spent, metrics=("FLOPs",), show=flops)


def task(name: str, title: str | None = None) -> Column:
    """Return the column of a task's score x 100: mean ± standard deviation over runs; a subset is starred."""

    def ours(results: Results, method: str) -> Cell:
        return score(results.scores.get((method, name)))

    return Column(head=Head(key=name, text=title or name), ours=ours, metrics=(title or name,), show=printed)


def score(row: Found | None) -> Cell:
    """Return a row of the scores table."""
    if row is None:
        return EMPTY
    spread = "" if row["std"] is None else f" ± {100 * row['std']:.1f}"
    star = "*" if row["subset"] else ""
    return Cell(text=f"{100 * row['mean']:.1f}{spread}{star}", value=row["mean"], lo=row["lo"], hi=row["hi"])


def average(*metrics: str, text: str = "average") -> Column:
    """Return the column of the mean over all tasks of the study."""
    return replace(task(AVERAGE, text), metrics=metrics)


def last(column: str, text: str, digits: int, sign: bool = False) -> Column:
    """Return the column of a number of points.csv at the last finished point, mean over seeds."""
    return Column(head=Head(key=column, text=text), ours=lambda r, name: mean(r.last(name, column), digits, sign))


def against(column: str, results: Results, name: str, other: str, digits: int) -> Cell:
    """Return a number of the last finished point minus another method's final loss, paired by seed."""
    own, base = results.last(name, column), results.last(other, "loss")
    return mean(own - base, digits, sign=True) if len(own) and len(own) == len(base) else EMPTY


GAP = Column(
    head=Head(key="loss_gap", text="final loss − scratch's"),
    ours=lambda r, name: BASELINE if name == "scratch" else against("loss", r, name, "scratch", 4),
)
FINAL_LOSS = last("loss", "final loss", 4)


def named(title: str, file: str, name: str) -> str:
    """Return what a row is called: the paper's name of the method, and the study's of a variant."""
    return title if name == file else f"{title}: {name}"


def cells(results: Results, name: str, columns: Sequence[Column]) -> Row:
    """Return a method's cell of every column."""
    return {column.head.key: column.ours(results, name) for column in columns}


def ours(results: Results, file: str, title: str, columns: Sequence[Column], every: bool = False) -> list[Row]:
    """Return the study's rows of a method, or one that says it was not run. every: variants beside the method too."""
    names = results.of(file) if every else results.plain(file)
    if not names:
        return [{"method": word(title), "origin": word(NOT_RUN)}]
    return [
        {
            "method": word(named(title, file, name)),
            "origin": word("this study"),
            **cells(results, name, columns),
        }
        for name in names
    ]


def theirs(entry: Entry, title: str, columns: Sequence[Column]) -> Row:
    """Return a published row."""
    found = {column.head.key: column.published(entry) for column in columns}
    return {"method": word(title), "origin": word(entry.where), "grade": word(f"[{entry.grade}]"), **found}


def heads(columns: Sequence[Column], lead: Sequence[Head] = (*LEAD, *ORIGIN)) -> list[Head]:
    """Return the headings of a table."""
    return [*lead, *(column.head for column in columns)]
