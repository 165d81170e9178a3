"""The suite's own table: every method, both accountings, what growing did to the loss, what it cost, what it scores."""

from growbench.analysis.frames.starts import LAG
from growbench.analysis.pages import markdown
from growbench.analysis.papers._columns import (
    FINAL_LOSS,
    GAP,
    LEAD,
    PUBLISHED_NOTE,
    Column,
    average,
    cells,
    heads,
    last,
    number,
    saving,
    word,
)
from growbench.analysis.papers._model import EMPTY, Cell, Head, Table
from growbench.analysis.results import Results
from growbench.analysis.statistics.savings import BASELINE


def _n(results: Results, name: str) -> Cell:
    return number(int(results.savings[name]["n"]), 0)


def _lag(results: Results, name: str) -> Cell:
    values = results.last(name, "lag")
    return number(float(values.mean()), 1, scale=100) if len(values) else EMPTY


def _published(results: Results, name: str) -> Cell:
    text = results.savings[name]["published"]
    return word(text) if text else EMPTY


def _iqm(results: Results, name: str) -> Cell:
    return _all_tasks(results, name, "iqm", 100, 1)


def _improvement(results: Results, name: str) -> Cell:
    if name == "scratch":
        return Cell(text="0.50 (baseline)", value=0.5, status=BASELINE)
    return _all_tasks(results, name, "improvement", 1, 2)


def _all_tasks(results: Results, name: str, key: str, scale: float, digits: int) -> Cell:
    row = results.averages.get(name, {})
    value, lo, hi = (row.get(key + end) for end in ("", "_lo", "_hi"))
    if value is None:
        return EMPTY
    ends = (
        ""
        if lo is None or hi is None
        else f" [{markdown.number(scale * lo, digits)}, {markdown.number(scale * hi, digits)}]"
    )
    return Cell(text=markdown.number(scale * value, digits) + ends, value=float(value), lo=lo, hi=hi)


def main(results: Results) -> Table:
    """Return one row for every method of the study."""
    reuses = max(int(row["source_reuses"]) for row in results.savings.values())
    shared = f"source / {max(reuses, 1)}"
    against_iso = markdown.against_iso(results.savings["scratch"])
    accountings = {"target_only": "target only", "total": "everything counted", "amortised": shared}
    columns = [
        *(
            saving(key, f"{what}, {words}", kind=kind)
            for key, words in accountings.items()
            for kind, what in (("saving", "saving"), ("speedup", "speed-up"))
        ),
        saving("electra_total", "saving, everything counted, ELECTRA FLOPs"),
        *([saving("iso", markdown.AT_ISO)] if against_iso else []),
        saving("target_only", "saving at equal score, target only", score=True),
        saving("total", "saving at equal score, everything counted", score=True),
        Column(head=Head(key="n", text="n"), ours=_n),
        last("initial_loss", "loss after growth", 3),
        last("lag_loss", "loss after a short lag", 3),
        Column(head=Head(key="lag", text="lag (% of budget)"), ours=_lag),
        FINAL_LOSS,
        GAP,
        last("tail_energy", "energy beyond the source's width", 4),
        average(text="average score"),
        Column(head=Head(key="iqm", text="IQM, normalised"), ours=_iqm),
        Column(head=Head(key="improvement", text="P(better than scratch)"), ours=_improvement),
        last("wall_seconds", "wall time (s)", 0),
        last("peak_memory_mb", "peak memory (MB)", 0),
        Column(
            head=Head(key="published", text="published saving (paper, setting, grade)", width="8cm"), ours=_published
        ),
    ]
    rows = [{"method": word(name), **cells(results, name, columns)} for name in results.methods]
    return Table(
        study=results.study,
        name="overview",
        title="Overview",
        heads=heads(columns, LEAD),
        groups=[rows[:1], rows[1:]],
        notes=[
            "Saving = 1 − F / F_scratch where scratch's final validation loss (or average score) is first reached, never "
            "extrapolated: not reached, or ≥ where the first point is already there. Target only: the source is free. "
            f"Everything counted: source and all stages. {shared[0].upper() + shared[1:]}: the source's cost shared by the "
            f"{reuses} method(s) that start from it."
            + (" At scratch_iso's loss: with scratch_iso in scratch's place." if against_iso else ""),
            "Loss after growth: validation loss on entering the last stage that trains another network than the stage before "
            f"(without growth: at the start). Short lag: the first trunk evaluation at least {100 * LAG:.0f} % of the largest "
            "budget after that, so that the lag depends on where evaluations fall.",
            "Energy beyond the source's width D_s: of the matrices on the residual stream, the share of the squared singular values "
            "beyond the D_s largest, mean over matrices; 0 where added coordinates are exact copies.",
            "Average score × 100, mean ± standard deviation over runs (* trained on a subset). IQM: mean of the middle half of "
            "the scores of all tasks and runs, normalised so that the majority class is 0 and perfect is 100; P: chance that a run "
            "beats one of scratch on a random task. Their brackets: 95 % stratified bootstrap, seeds resampled within each task.",
            "Wall time and peak memory: of the target's own run up to its largest budget, the source's not included.",
            PUBLISHED_NOTE,
            *results.notes,
        ],
    )


TABLES = {"overview": main}
