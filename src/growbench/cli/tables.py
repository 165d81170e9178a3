"""Tables on the command line: set by rich on a terminal, plain aligned text elsewhere and under NO_COLOR."""

import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

from growbench.errors import shown

Rows = Iterable[Sequence[str]]


def styled(stream: TextIO) -> bool:
    """Whether a stream is a terminal that may show styles."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


def table(head: Sequence[str], groups: Mapping[str, Rows], *, left: int = 1, width: int = 100) -> str:
    """Return a table as text for stdout, at most `width` columns wide and no wider than the terminal.

    groups: the rows by the title of their block; a block titled "" has no title line. left: how many leading columns
    are aligned to the left; the others are aligned to the right. Cells that do not fit are wrapped, but not the first.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    style = styled(sys.stdout)
    columns = min(width, shutil.get_terminal_size((width, 24)).columns)
    console = Console(width=columns, force_terminal=style, markup=False, highlight=False)
    grid = Table(box=box.SIMPLE_HEAD if style else None, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    for i, name in enumerate(head):
        grid.add_column(Text(name), justify="left" if i < left else "right", overflow="fold", no_wrap=i == 0)
    for title, rows in groups.items():
        if title:
            grid.add_row()
            grid.add_row(Text(shown(title), style="bold"))
        for row in rows:
            grid.add_row(*(Text(shown(cell)) for cell in row))
    with console.capture() as captured:
        console.print(grid)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def amount(number: float) -> str:
    """Return a number with four digits and the prefix of a power of 1000, for example `125.2 k`."""
    power = min((len(str(int(number))) - 1) // 3, 4)
    return f"{number / 1000**power:.4g} {('', 'k', 'M', 'G', 'T')[power]}"
