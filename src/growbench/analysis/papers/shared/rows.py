"""Rows: ours, of every method of a study that a table is about, and those that papers print."""

from collections.abc import Sequence

from growbench.analysis import wording
from growbench.analysis.papers.shared.cells import NOT_RUN, word
from growbench.analysis.papers.shared.columns import LEAD, ORIGIN, Column
from growbench.analysis.papers.shared.results import Results
from growbench.analysis.papers.shared.table import Head, Row
from growbench.analysis.published import Entry

PUBLISHED_NOTE = f"{wording.PUBLISHED_NOTE}; – if neither is available."


def heads(columns: Sequence[Column], lead: Sequence[Head] = (*LEAD, *ORIGIN)) -> list[Head]:
    """Return the headings of a table."""
    return [*lead, *(column.head for column in columns)]


def cells(results: Results, name: str, columns: Sequence[Column]) -> Row:
    """Return a method's cell of every column."""
    return {column.head.key: column.ours(results, name) for column in columns}


def named(title: str, base: str, name: str) -> str:
    """Return what a row is called: the paper's name of the method, and the study's name of a variant."""
    return title if name == base else f"{title}: {name}"


def own(results: Results, title: str, name: str, columns: Sequence[Column]) -> Row:
    """Return one row of this study."""
    return {"method": word(title), "origin": word("this study"), **cells(results, name, columns)}


def ours(results: Results, base: str, title: str, columns: Sequence[Column]) -> list[Row]:
    """Return the study's rows of a method, or one that says it was not run."""
    names = results.plain(base)
    if not names:
        return [{"method": word(title), "origin": word(NOT_RUN)}]
    return [own(results, named(title, base, name), name, columns) for name in names]


def theirs(entry: Entry, title: str, columns: Sequence[Column]) -> Row:
    """Return a published row."""
    found = {column.head.key: column.published(entry) for column in columns}
    return {"method": word(title), "origin": word(entry.where), "grade": word(f"[{entry.grade}]"), **found}
