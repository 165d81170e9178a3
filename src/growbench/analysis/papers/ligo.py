"""LiGO's table 1 (Wang et al., ICLR 2023) in its own columns: savings, GLUE and SQuAD of the methods it compares.

For images its DeiT table, with the comparison on the same models by Mango (Pan et al., NeurIPS 2023).
"""

from growbench.analysis import published
from growbench.analysis.papers.shared.cells import points100, printed
from growbench.analysis.papers.shared.columns import OF_ACCURACY, TPP, Column, accuracy, average, saving, task
from growbench.analysis.papers.shared.results import Results
from growbench.analysis.papers.shared.rows import PUBLISHED_NOTE, heads, ours, theirs
from growbench.analysis.papers.shared.table import EMPTY, Cell, Head, Table
from growbench.analysis.papers.shared.tasks import GLUE7, SQUAD1, SQUAD2, own_tasks

TITLES = {
    "scratch": "scratch",
    "stackbert": "StackBERT",
    "mslt": "MSLT",
    "ki": "KI",
    "bert2bert": "bert2BERT",
    "ligo": "LiGO",
}
OF_IMAGES = {"mango": "Mango"}  # compared on DeiT alone
MEAN = "GLUE mean of 7"
OF_GLUE = (
    "GLUE avg: over the paper's seven tasks, or those of them that this study has. CoLA is Matthews' correlation here; the "
    "paper calls it accuracy."
)


def _glue(results: Results, name: str) -> Cell:
    """Return the mean over the paper's seven GLUE tasks, or those of them that the study has."""
    found = [row["mean"] for task in GLUE7 if (row := results.scores.get((name, task))) is not None]
    return points100(sum(found) / len(found)) if found else EMPTY


def _of_text() -> list[Column]:
    """Return the columns of the paper's scores on tasks of text."""
    mean = Column(head=Head(key="GLUE", text="GLUE avg"), ours=_glue, metrics=(MEAN,), show=printed)
    return [*map(task, GLUE7), *SQUAD1, *SQUAD2, mean]


def main(results: Results) -> Table:
    """Return table 1; beside it the paper's BERT table for masked models and its DeiT table for images."""
    image = results.objective == "classification"
    titles = TITLES | (OF_IMAGES if image else {})
    theirs_first = [
        saving("target_only", "saving, FLOPs", ["FLOPs saved"]),
        saving("wall_target_only", "saving, wall time", ["wall time saved"]),
        saving("total", "saving, FLOPs, everything counted"),
        *TPP,
        *(accuracy(results) if image else _of_text()),
    ]
    own = own_tasks(results, theirs_first)
    columns = [*theirs_first, *map(task, own), *([average(text="average of all")] if own else [])]
    found = [row for file, title in titles.items() for row in ours(results, file, title, columns)]
    entries = [
        *published.entries("LiGO", "Table 1", objective=results.objective),
        *published.of_images(results.objective),
    ]
    rows = [theirs(entry, titles.get(entry.method, entry.method), columns) for entry in entries]
    return Table(
        study=results.study,
        name="ligo",
        title="LiGO on images" if image else "LiGO, table 1",
        heads=heads(columns),
        groups=[found, rows],
        notes=[
            "Savings at scratch's final validation loss; the source is free unless everything is counted. Scores × 100 on the "
            f"development sets, mean ± standard deviation over runs (* trained on a subset). {OF_ACCURACY if image else OF_GLUE}",
            PUBLISHED_NOTE,
            *results.notes,
        ],
    )


TABLES = {"ligo": main}
