"""StackBERT's table (Gong et al., ICML 2019): scratch, stacking, and the baseline whose new layers are identities."""

from growbench.analysis import published
from growbench.analysis.papers._columns import (
    FINAL_LOSS,
    GAP,
    NOT_RUN,
    PUBLISHED_NOTE,
    average,
    cells,
    heads,
    last,
    named,
    ours,
    saving,
    task,
    theirs,
    word,
)
from growbench.analysis.papers._model import Row, Table
from growbench.analysis.papers._tasks import GLUE7, own_tasks
from growbench.analysis.results import Results

FILES = {"stackbert": "progressive stacking", "stack": "stacking, once"}
IDENTITY = "identity"


def main(results: Results) -> Table:
    """Return savings and scores; published rows are other papers' replications, its own values are not in hand."""
    tasks = [task(name) for name in GLUE7 if name in results.tasks or results.family in ("bert", "roberta")]
    columns = [
        saving("target_only", "saving, target only", ["FLOPs saved"]),
        saving("total", "saving, everything counted"),
        saving("wall_target_only", "wall time saved", ["wall time saved"]),
        last("initial_loss", "loss after growth", 3),
        FINAL_LOSS,
        GAP,
        *tasks,
        *map(task, own_tasks(results, tasks)),
        average(),
    ]
    found = ours(results, "scratch", "scratch", columns)
    identity = [name for name in results.of(*FILES) if IDENTITY in results.options[name].values()]
    for name in results.of(*FILES):
        title = "identity baseline" if name in identity else FILES[results.files[name]]
        lead = {"method": word(named(title, results.files[name], name)), "origin": word("this study")}
        found.append({**lead, **cells(results, name, columns)})
    if not identity:
        found.append({"method": word("identity baseline"), "origin": word(NOT_RUN)})
    printed: list[Row] = [
        theirs(entry, "progressive stacking", columns)
        for entry in published.entries("LiGO", "Table 1", "DeiT table")
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
            "Published rows are LiGO's replication; StackBERT's own tables are in no source at hand.",
            PUBLISHED_NOTE,
            *results.notes,
        ],
    )


TABLES = {"stackbert": main}
