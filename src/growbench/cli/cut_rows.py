"""growbench plan: how many rows of each task are cut, and how many use positions that pre-training never reached."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from growbench.cli.tables import table

if TYPE_CHECKING:
    from growbench.pipeline.finetune.cut_rows import Share

HEAD = ("task", "rows", "max_length", "cut", "positions not trained")


def lines(shares: "Sequence[Share]") -> Iterator[str]:
    """Yield a table of tasks and files; nothing if nothing is known."""
    if not shares:
        return
    cells = [[s.task, s.split, str(s.limit), f"{s.cut:.0%}", f"{s.unreached:.0%}"] for s in shares]
    yield ""
    yield table(HEAD, {"": cells}, left=2)
    yield "Shares of at most 1,000 rows of each file; positions are not trained beyond objective.length"
