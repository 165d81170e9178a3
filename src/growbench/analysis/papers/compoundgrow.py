"""CompoundGrow's tables (Gu et al., NAACL 2021): operators within each dimension at matched FLOPs, and speed-ups."""

from growbench.analysis import published
from growbench.analysis.papers.shared.cells import BASELINE, NOT_RUN, mean, share, word
from growbench.analysis.papers.shared.columns import FINAL_LOSS, GAP, LEAD, TPP, Column, average, column, saving, task
from growbench.analysis.papers.shared.results import Results
from growbench.analysis.papers.shared.rows import PUBLISHED_NOTE, cells, heads, named, ours, own, theirs
from growbench.analysis.papers.shared.table import EMPTY, Cell, Head, Row, Table

BASE = "compoundgrow"
DIMENSIONS = {"layers": "depth", "ffn": "FFN", "length": "length", "all": "all three"}
OPERATORS = {
    "layers": {"stack": "stacking", "attention": "shared attention"},
    "ffn": {"tile": "parameter sharing", "factor": "factorisation"},
    "length": {"pool": "embedding pooling", "cut": "truncation"},
}

SPEEDUP_NOTE = (
    "Speed-up at equal steps, the paper's definition: scratch's cost per step divided by the method's mean cost per step, "
    "minus 1; it follows from the schedule. At equal loss: F_scratch / F − 1 where scratch's final loss is reached."
)


def operators(results: Results) -> Table:
    """Return the variants by dimension and operator; all of them spend the same FLOPs."""
    columns = [
        column("flops_spent", "FLOPs spent", _spent),
        column("speedup_steps", "speed-up at equal steps", lambda r, n: _steps(r, n, "flops_total")),
        FINAL_LOSS,
        GAP,
        saving("total", "saving"),
        saving("total", "speed-up at equal loss", kind="speedup"),
        *TPP,
        *map(task, results.tasks),
        average(),
    ]
    lead = [Head(key="dimension", text="dimension"), Head(key="operator", text="operator"), *LEAD]
    return Table(
        study=results.study,
        name=BASE,
        title="CompoundGrow, operators within each dimension",
        heads=heads(columns, lead),
        groups=[_rows(results, dimension, columns) for dimension in ("", *DIMENSIONS)],
        notes=[
            "Every row spends the same FLOPs to within one step, everything counted (a CompoundGrow run has no source). Final "
            "losses and scores therefore compare operators at equal cost.",
            SPEEDUP_NOTE,
            "The paper's comparison of operators is not available, so there are no published values.",
            *results.notes,
        ],
    )


def _rows(results: Results, dimension: str, columns: list[Column]) -> list[Row]:
    """Return scratch's row (no dimension), or the rows of a dimension; operators that were not run are listed as such."""
    names = [n for n in results.of(BASE) if results.options[n]["only"] == dimension] if dimension else ["scratch"]
    texts = {name: _operator(results, name) if dimension else "–" for name in names}
    found: list[Row] = [
        {
            "dimension": word(DIMENSIONS.get(dimension, "–")),
            "operator": word(texts[name]),
            "method": word(name),
            **cells(results, name, columns),
        }
        for name in names
    ]
    missing = [text for text in OPERATORS.get(dimension, {}).values() if text not in texts.values()]
    return found + [
        {
            "dimension": word(DIMENSIONS[dimension]),
            "operator": word(text),
            "method": word(NOT_RUN),
        }
        for text in missing
    ]


def _operator(results: Results, name: str) -> str:
    options = results.options[name]
    used = [options["only"]] if options["only"] != "all" else list(OPERATORS)
    return " + ".join(OPERATORS[dimension][options[dimension]] for dimension in used)


def _spent(results: Results, name: str) -> Cell:
    values = results.last(name, "flops_total")
    return Cell(text=f"{values.mean():.4g}", value=float(values.mean()))


def _steps(results: Results, name: str, cost: str) -> Cell:
    """Return how many more steps a method takes than scratch for the same cost, as a share; paired by seed."""
    if name == "scratch":
        return BASELINE
    rates = [results.last(method, "steps") / results.last(method, cost) for method in (name, "scratch")]
    if len({len(rate) for rate in rates}) > 1 or not len(rates[0]):
        return EMPTY
    return mean(rates[0] / rates[1] - 1, 1, sign=True, scale=100, unit=" %")


def speedups(results: Results) -> Table:
    """Return the speed-ups of stacking alone and of CompoundGrow, in FLOPs and in wall-clock time."""
    columns = [
        column("speedup_steps", "FLOPs, equal steps", lambda r, n: _steps(r, n, "flops_total")),
        Column(
            head=Head(key="speedup_steps_wall", text="wall clock, equal steps"),
            ours=lambda r, n: _steps(r, n, "wall_seconds"),
            metrics=("wall-clock speed-up",),
            show=share,
        ),
        saving("total", "FLOPs, equal loss", kind="speedup"),
        saving("wall_target_only", "wall clock, equal loss", kind="speedup"),
        *TPP,
        FINAL_LOSS,
        average(),
    ]
    entries = published.entries("CompoundGrow", objective=results.objective)
    found = ours(results, "scratch", "scratch", columns) + ours(results, "stackbert", "Stack", columns)
    found += [own(results, named("CompoundGrow", BASE, name), name, columns) for name in results.of(BASE)]
    return Table(
        study=results.study,
        name="compoundgrow_speedup",
        title="CompoundGrow, speed-ups",
        heads=heads(columns),
        groups=[found, [theirs(entry, "CompoundGrow", columns) for entry in entries]],
        notes=[SPEEDUP_NOTE, PUBLISHED_NOTE, *results.notes],
    )


TABLES = {"compoundgrow": operators, "compoundgrow_speedup": speedups}
