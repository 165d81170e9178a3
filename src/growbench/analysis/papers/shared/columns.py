"""Columns that several tables share: a heading, our number for a method, and what papers call that number."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from growbench.analysis.frames.scores import AVERAGE
from growbench.analysis.papers.shared import cells
from growbench.analysis.papers.shared.results import Results
from growbench.analysis.papers.shared.table import EMPTY, Cell, Head
from growbench.analysis.published import Entry

LEAD = (Head(key="method", text="method"),)
ORIGIN = (Head(key="origin", text="from", width="5cm"), Head(key="grade", text="grade"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column of a table.

    head: its heading.
    ours: returns the cell of a method of the study.
    metrics: what papers call it; the first name that an entry has counts.
    show: turns a published number into a cell; None if there are no published numbers.
    """

    head: Head
    ours: Callable[[Results, str], Cell]
    metrics: tuple[str, ...] = ()
    show: Callable[[float], Cell] | None = None

    def published(self, entry: Entry) -> Cell:
        """Return what the entry has for this column."""
        value = next((entry.values[metric] for metric in self.metrics if metric in entry.values), None)
        return EMPTY if value is None or self.show is None else self.show(value)


def column(key: str, text: str, ours: Callable[[Results, str], Cell]) -> Column:
    """Return a column that no paper prints."""
    return Column(head=Head(key=key, text=text), ours=ours)


def saving(
    accounting: str, text: str, metrics: Sequence[str] = (), kind: str = "saving", score: bool = False
) -> Column:
    """Return the column of one accounting's savings (or speed-ups), at equal loss or at equal score."""

    def ours(results: Results, name: str) -> Cell:
        return cells.saved((results.at_score if score else results.savings).get(name), accounting, kind)

    key = f"{kind}_{accounting}" + ("_at_score" if score else "")
    return Column(head=Head(key=key, text=text), ours=ours, metrics=tuple(metrics), show=cells.share)


def task(name: str, title: str | None = None) -> Column:
    """Return the column of a task's score × 100."""

    def ours(results: Results, method: str) -> Cell:
        return cells.score(results.scores.get((method, name)))

    return Column(head=Head(key=name, text=title or name), ours=ours, metrics=(title or name,), show=cells.printed)


def average(*metrics: str, text: str = "average") -> Column:
    """Return the column of the mean over all tasks of the study."""
    return replace(task(AVERAGE, text), metrics=metrics)


def last(name: str, text: str, digits: int, sign: bool = False) -> Column:
    """Return the column of a number of the points frame at the last finished point, mean over seeds."""
    return column(name, text, lambda results, method: cells.mean(results.last(method, name), digits, sign))


def _gap(results: Results, name: str) -> Cell:
    return cells.BASELINE if name == "scratch" else cells.against_scratch(results, name)


FLOPS = Column(head=Head(key="flops", text="FLOPs"), ours=cells.spent, metrics=("FLOPs",), show=cells.flops)
TPP = (last("tpp", "tokens per parameter", 2), last("source_tpp", "the source's", 2))
FINAL_LOSS = last("loss", "final loss", 4)
OF_ACCURACY = (
    "Accuracy × 100: ours on the study's own classes at the last finished point; published ones on other images."
)
GAP = column("loss_gap", "final loss − scratch's", _gap)


def _accuracy(results: Results, name: str) -> Cell:
    values = results.last(name, "accuracy")
    return cells.points100(float(values.mean())) if len(values) else EMPTY


def accuracy(results: Results, *metrics: str) -> list[Column]:
    """Return the column of the accuracy × 100 at the last finished point; none in studies of text.

    metrics: what papers call it beside ImageNet accuracy.
    """
    if results.objective != "classification":
        return []
    head = Head(key="accuracy", text="accuracy")
    return [Column(head=head, ours=_accuracy, metrics=("ImageNet accuracy", *metrics), show=cells.printed)]
