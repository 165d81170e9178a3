"""The tasks that papers print, and which of a study's tasks correspond to them."""

from collections.abc import Sequence

from growbench.analysis.papers.shared.cells import points100, printed
from growbench.analysis.papers.shared.columns import Column
from growbench.analysis.papers.shared.results import Results
from growbench.analysis.papers.shared.table import EMPTY, Cell, Head

GLUE7 = ("SST-2", "MNLI", "MRPC", "CoLA", "QNLI", "QQP", "STS-B")
SQUAD = {
    "SQuAD1.1": ("squad", "squad1", "squad1.1", "squadv1", "squadv1.1"),
    "SQuAD2.0": ("squad2", "squad2.0", "squadv2", "squadv2.0"),
}
METRICS = {"F1": ("f1",), "EM": ("exact_match", "exact", "em")}


def _squad(task: str, metric: str) -> Column:
    """Return the column of one of SQuAD's metrics, mean over runs."""

    def ours(results: Results, method: str) -> Cell:
        names = [name for name in results.tasks if plain(name) in SQUAD[task]]
        keys = [(method, name, key) for name in names for key in METRICS[metric]]
        return next((points100(results.metrics[key]) for key in keys if key in results.metrics), EMPTY)

    title = f"{task} {metric}"
    return Column(head=Head(key=title, text=title), ours=ours, metrics=(title,), show=printed)


def plain(name: str) -> str:
    """Return a task's name without case, spaces, hyphens and underscores."""
    return "".join(sign for sign in name.lower() if sign.isalnum() or sign == ".")


SQUAD1 = tuple(_squad("SQuAD1.1", metric) for metric in METRICS)
SQUAD2 = tuple(_squad("SQuAD2.0", metric) for metric in METRICS)


def own_tasks(results: Results, columns: Sequence[Column]) -> list[str]:
    """Return the study's tasks for which a paper's table has no column, e.g. those of toyglue."""
    titles = {column.head.key for column in columns}
    squads = {alias for task in SQUAD if any(key.startswith(task) for key in titles) for alias in SQUAD[task]}
    return [name for name in results.tasks if name not in titles and plain(name) not in squads]
