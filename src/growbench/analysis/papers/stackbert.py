"""StackBERT's table (Gong et al., ICML 2019): scratch, stacking, and the baseline whose new layers are identities."""

from growbench.analysis import published
from growbench.analysis.papers.shared.cells import NOT_RUN, word
from growbench.analysis.papers.shared.columns import (
    FINAL_LOSS,
    GAP,
    OF_ACCURACY,
    TPP,
    accuracy,
    average,
    last,
    saving,
    task,
)
from growbench.analysis.papers.shared.results import Results
from growbench.analysis.papers.shared.rows import PUBLISHED_NOTE, heads, named, ours, own, theirs
from growbench.analysis.papers.shared.table import Row, Table
from growbench.analysis.papers.shared.tasks import GLUE7, own_tasks

BASES = {"stackbert": "progressive stacking", "stack": "stacking, once"}
IDENTITY = "identity"


def main(results: Results) -> Table:
    """Return savings and scores. Published rows are replications by other papers; its own values are not available."""
    tasks = [task(name) for name in GLUE7 if name in results.tasks or results.objective == "mlm"]
    columns = [
        saving("target_only", "saving, target only", ["FLOPs saved"]),
        saving("total", "saving, everything counted"),
        saving("wall_target_only", "wall time saved", ["wall time saved"]),
        *TPP,
        last("loss_after_growth", "loss after growth", 3),
        FINAL_LOSS,
        GAP,
        *accuracy(results),
        *tasks,
        *map(task, own_tasks(results, tasks)),
        average(),
    ]
    found = ours(results, "scratch", "scratch", columns)
    identity = [name for name in results.of(*BASES) if IDENTITY in results.options[name].values()]
    for name in results.of(*BASES):
        title = "identity baseline" if name in identity else BASES[results.bases[name]]
        found.append(own(results, named(title, results.bases[name], name), name, columns))
    if not identity:
        found.append({"method": word("identity baseline"), "origin": word(NOT_RUN)})
    printed: list[Row] = [
        theirs(entry, "progressive stacking", columns)
        for entry in published.entries("LiGO", "Table 1", "DeiT table", objective=results.objective)
        if entry.method == "stackbert"
    ]
    return Table(
        study=results.study,
        name="stackbert",
        title="StackBERT",
        heads=heads(columns),
        groups=[found, printed],
        notes=[
            "Savings at scratch's final validation loss. Scores × 100 on the development sets, mean ± standard deviation over "
            "runs (* trained on a subset).",
            "Published rows are LiGO's replication, on BERT and on DeiT; StackBERT's own tables are not available.",
            *([OF_ACCURACY] if results.objective == "classification" else []),
            PUBLISHED_NOTE,
            *results.notes,
        ],
    )


TABLES = {"stackbert": main}
