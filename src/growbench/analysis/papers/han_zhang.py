"""Han Zhang's transfer from a smaller model (arXiv 2104.11390): source and target per task, start against eps.

The paper has only figures; these tables hold what the figures show. None of its numbers is available.
"""

from growbench.analysis.papers.shared.cells import against_source, number, word
from growbench.analysis.papers.shared.columns import (
    FINAL_LOSS,
    GAP,
    LEAD,
    TPP,
    Column,
    average,
    column,
    last,
    saving,
    task,
)
from growbench.analysis.papers.shared.results import Results
from growbench.analysis.papers.shared.rows import cells, heads, named
from growbench.analysis.papers.shared.table import EMPTY, Cell, Row, Table
from growbench.spec import SOURCE

BASE = "zero_pad"
NO_VALUES = "The paper prints no table, so there are no published values."


def _row(results: Results, title: str, name: str, columns: list[Column]) -> Row:
    return {"method": word(title), **cells(results, name, columns)}


def _eps(results: Results, name: str) -> Cell:
    return number(results.options[name]["eps"], 4) if results.bases.get(name) == BASE else EMPTY


EPS = column("eps", "eps", _eps)
GROWN_LOSS = last("grown_loss", "loss right after growth", 4)
ROLES = {
    SOURCE: "source",
    "source_longer": "source, trained longer",
    "scratch": "target, scratch",
    BASE: "target, grown",
}


def main(results: Results) -> Table:
    """Return source and target: losses, savings, and scores per task."""
    columns = [
        EPS,
        *TPP,
        GROWN_LOSS,
        FINAL_LOSS,
        _of_targets(GAP),
        _of_targets(saving("target_only", "saving, target only")),
        _of_targets(saving("total", "saving, everything counted")),
        *map(task, results.tasks),
        average(),
    ]
    rows = [_row(results, ROLES[SOURCE], SOURCE, columns)]
    for base in ("source_longer", "scratch", BASE):
        names = _by_eps(results) if base == BASE else results.of(base)
        rows += [_row(results, named(ROLES[base], base, n), n, columns) for n in names]
    return Table(
        study=results.study,
        name="han_zhang",
        title="Transfer from a smaller model",
        heads=heads(columns, LEAD),
        groups=[rows],
        notes=[
            f"Losses on the same validation {'images' if results.objective == 'classification' else 'text'}. Scores × 100 on the development sets, mean ± standard deviation over runs (* "
            "trained on a subset); – for a model that this study does not fine-tune.",
            NO_VALUES,
            *results.notes,
        ],
    )


def _of_targets(column: Column) -> Column:
    """Return a column that is empty for a model of the source's size."""

    def ours(results: Results, name: str) -> Cell:
        small = name == SOURCE or results.bases[name] == "source_longer"
        return EMPTY if small else column.ours(results, name)

    return Column(head=column.head, ours=ours)


def _by_eps(results: Results) -> list[str]:
    return sorted(results.of(BASE), key=lambda name: float(results.options[name]["eps"]))


def by_eps(results: Results) -> Table:
    """Return the loss right after growth against eps, the standard deviation of the noise in place of zeros."""
    columns = [
        EPS,
        GROWN_LOSS,
        column("difference", "minus source's final loss", against_source),
        FINAL_LOSS,
        GAP,
        *TPP,
    ]
    return Table(
        study=results.study,
        name="han_zhang_eps",
        title="Zero padding, start against eps",
        heads=heads(columns, LEAD),
        groups=[[_row(results, name, name, columns) for name in _by_eps(results)]],
        notes=[
            "eps: standard deviation of the noise in place of zeros. Validation losses in nats, differences paired by seed.",
            NO_VALUES,
            *results.notes,
        ],
    )


TABLES = {"han_zhang": main, "han_zhang_eps": by_eps}
