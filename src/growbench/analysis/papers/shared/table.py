"""A table: columns, cells that are a number and its text at once, and notes; written as CSV, Markdown and LaTeX."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from growbench.analysis.pages.markdown import grid
from growbench.analysis.papers.shared import latex

Value = float | int | str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """What one place of a table holds.

    text: for people.
    value, lo, hi: for programs, the number and its interval in the unit of the column's key; shares are 0 to 1.
    status: why there is no value, or what limits it ("not run", "not reached", "at first point").
    """

    text: str = "–"
    value: Value = None
    lo: float | None = None
    hi: float | None = None
    status: str = ""


EMPTY = Cell()
Row = Mapping[str, Cell]


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The head of a column.

    key: its name in the CSV file.
    text: its heading.
    width: in LaTeX, for a column whose text is long.
    """

    key: str
    text: str
    width: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """One table of a study.

    study, name, title: which table of which study it is.
    heads: its columns.
    groups: rows that belong together (ours, published); a cell that a row lacks is empty.
    notes: sentences below the table.
    """

    study: str
    name: str
    title: str
    heads: Sequence[Head]
    groups: Sequence[Sequence[Row]]
    notes: Sequence[str] = field(default=())

    @property
    def rows(self) -> list[Row]:
        return [row for group in self.groups for row in group]

    def csv(self) -> str:
        """Return CSV: one column per head; _lo, _hi and _status beside it if a cell has them."""
        columns = [(head.key, part) for head in self.heads for part in self._parts(head)]
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([key if part == "value" else f"{key}_{part}" for key, part in columns])
        for row in self.rows:
            writer.writerow([_plain(getattr(row.get(key, EMPTY), part)) for key, part in columns])
        return out.getvalue()

    def _parts(self, head: Head) -> list[str]:
        cells = [row.get(head.key, EMPTY) for row in self.rows]
        ends = any(cell.lo is not None or cell.hi is not None for cell in cells)
        status = any(cell.status for cell in cells)
        return ["value", *(["lo", "hi"] if ends else []), *(["status"] if status else [])]

    def markdown(self) -> str:
        """Return the table with its title and notes in Markdown."""
        left = {0, *(i for i, head in enumerate(self.heads) if head.width)}
        body = grid([head.text for head in self.heads], self._texts(self.rows), left)
        return f"# {self.title}: {self.study}\n\n{body}\n" + "".join(f"- {note}\n" for note in self.notes)

    def latex(self) -> str:
        """Return a `table` environment to \\input; it needs booktabs and adjustbox."""
        groups = [self._texts(group) for group in self.groups if group]
        widths = [head.width for head in self.heads]
        heads = [head.text for head in self.heads]
        caption = " ".join([f"{self.title}.", *self.notes])
        return latex.table(f"tab:{self.study}:{self.name}", caption, heads, widths, groups)

    def _texts(self, rows: Sequence[Row]) -> list[list[str]]:
        return [[row.get(head.key, EMPTY).text for head in self.heads] for row in rows]


def _plain(value: Value) -> str:
    return "" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)
