"""Weight selection's table (Xu et al., ICLR 2024): a small model from a part of a large one, against a random start."""

from growbench.analysis import published
from growbench.analysis.papers.shared.columns import FINAL_LOSS, GAP, OF_ACCURACY, TPP, accuracy, last, saving
from growbench.analysis.papers.shared.results import Results
from growbench.analysis.papers.shared.rows import PUBLISHED_NOTE, heads, named, ours, own, theirs
from growbench.analysis.papers.shared.table import Table

METHOD = "weight_selection"
TITLES = {"random init": "random start", METHOD: "weight selection"}


def main(results: Results) -> Table:
    """Return accuracy, losses and savings of a random start and of every choice of coordinates that the study has."""
    columns = [
        *accuracy(results, "accuracy"),
        last("loss_after_growth", "loss right after selection", 3),
        FINAL_LOSS,
        GAP,
        saving("target_only", "saving, target only"),
        saving("total", "saving, everything counted"),
        *TPP,
    ]
    found = ours(results, "scratch", TITLES["random init"], columns)
    found += [own(results, named(TITLES[METHOD], METHOD, name), name, columns) for name in results.of(METHOD)]
    entries = published.entries("Weight selection", objective=results.objective)
    return Table(
        study=results.study,
        name=METHOD,
        title="Weight selection",
        heads=heads(columns),
        groups=[found, [theirs(entry, TITLES[entry.method], columns) for entry in entries]],
        notes=[
            "Savings at scratch's final validation loss; target only: the large model is free, as in the paper.",
            *([OF_ACCURACY] if entries else []),
            PUBLISHED_NOTE,
            *results.notes,
        ],
    )


TABLES = {METHOD: main}
