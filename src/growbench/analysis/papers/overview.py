"""The suite's own table: every method, both accountings, what growing did to the loss, what it cost, what it scores."""

from collections.abc import Callable
from typing import Any

from growbench.analysis import captions, wording
from growbench.analysis.frames.accounting import AT_FRONTIER, AT_ISO, FRONTIER, ISO, against_iso, titles
from growbench.analysis.frames.starts import LAG
from growbench.analysis.papers.shared.cells import number, share, word
from growbench.analysis.papers.shared.columns import (
    FINAL_LOSS,
    GAP,
    LEAD,
    TPP,
    Column,
    accuracy,
    average,
    column,
    last,
    saving,
)
from growbench.analysis.papers.shared.results import Results
from growbench.analysis.papers.shared.rows import PUBLISHED_NOTE, cells, heads
from growbench.analysis.papers.shared.table import EMPTY, Cell, Head, Table
from growbench.analysis.statistics.savings import BASELINE

PUBLISHED = Head(key="published", text="published saving (paper, setting, grade)", width="8cm")
BETTER_LR = "saving, everything counted, if scratch's LR were one step better"
BETTER_WARMUP = "saving, everything counted, if scratch's warm-up were one step better"
NOTES = (
    "Loss after growth: validation loss at the entry of the last stage that trains a different network than the stage "
    f"before (without growth: at the start). Short lag: the first trunk evaluation at least {100 * LAG:.0f} % of the largest "
    "budget after that, so the lag depends on when evaluations take place.",
    "Energy beyond the source's width D_s: of the matrices on the residual stream, the share of the squared singular values "
    "beyond the D_s largest, mean over matrices; 0 if added coordinates are exact copies.",
    "Average score × 100, mean ± standard deviation over runs (* trained on a subset). IQM: mean of the middle half of the "
    "scores of all tasks and runs, normalized so that the majority class is 0 and perfect is 100. P: chance that a run beats "
    "one of scratch on a random task. "
    f"Their brackets: {wording.STRATIFIED}.",
    "Wall time and peak memory: of the target's own run up to its largest budget, without the source's.",
)


def _of_savings(results: Results, name: str, key: str, show: Callable[[Any], str]) -> Cell:
    """Return a number of the savings table, or EMPTY if it is not known."""
    value = results.savings[name].get(key)
    return EMPTY if value is None else Cell(text=show(value), value=float(value))


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
    shown = wording.number(scale * value, digits)
    if lo is not None and hi is not None:
        shown += f" [{wording.number(scale * lo, digits)}, {wording.number(scale * hi, digits)}]"
    return Cell(text=shown, value=float(value), lo=lo, hi=hi)


def main(results: Results) -> Table:
    """Return one row for every method of the study."""
    reuses = max(int(row["source_reuses"]) for row in results.savings.values())
    name = captions.headline(results.points, results.bases)
    columns = [*_savings(results, name, reuses), *_losses(), *accuracy(results), *_scores_and_costs()]
    rows = [{"method": word(own), **cells(results, own, columns)} for own in results.methods]
    return Table(
        study=results.study,
        name="overview",
        title="Overview",
        heads=heads(columns, LEAD),
        groups=[rows[:1], rows[1:]],
        notes=[_savings_note(results, name, reuses), *NOTES, PUBLISHED_NOTE, *results.notes],
    )


def _savings(results: Results, name: str, reuses: int) -> list[Column]:
    return [
        *([saving(FRONTIER, AT_FRONTIER)] if name == FRONTIER else []),
        column("p_holm", "p, Holm", lambda r, own: _of_savings(r, own, f"p_holm_{name}", wording.p_value)),
        column("best", "among the best", lambda r, own: _of_savings(r, own, "best", wording.yes_no)),
        column("detectable", "detectable", lambda r, own: _of_savings(r, own, f"detectable_{name}", wording.percent)),
        column("level", "level within 2 %", lambda r, own: _of_savings(r, own, f"level_{name}", wording.yes_no)),
        *(
            saving(key, f"{what}, {words}", kind=kind)
            for key, words in titles(reuses).items()
            for kind, what in (("saving", "saving"), ("speedup", "speed-up"))
        ),
        column("better_lr", BETTER_LR, lambda r, own: share(r.savings[own]["saving_total_better_lr"])),
        column("better_warmup", BETTER_WARMUP, lambda r, own: share(r.savings[own]["saving_total_better_warmup"])),
        saving("electra_total", "saving, everything counted, ELECTRA FLOPs"),
        *([saving(ISO, AT_ISO)] if against_iso(results.savings["scratch"]) else []),
        saving("target_only", "saving at equal score, target only", score=True),
        saving("total", "saving at equal score, everything counted", score=True),
    ]


def _losses() -> list[Column]:
    return [
        column("n", "n", _n),
        *TPP,
        last("loss_after_growth", "loss after growth", 3),
        last("lag_loss", "loss after a short lag", 3),
        column("lag", "lag (% of budget)", _lag),
        FINAL_LOSS,
        GAP,
        last("tail_energy", "energy beyond the source's width", 4),
    ]


def _scores_and_costs() -> list[Column]:
    return [
        average(text="average score"),
        column("iqm", "IQM, normalized", _iqm),
        column("improvement", "P(better than scratch)", _improvement),
        last("wall_seconds", "wall time (s)", 0),
        last("peak_memory_mb", "peak memory (MB)", 0),
        Column(head=PUBLISHED, ours=_published),
    ]


def _savings_note(results: Results, name: str, reuses: int) -> str:
    shared = titles(reuses)["amortised"]
    iso = (
        " At scratch_iso's loss: with scratch_iso in scratch's place."
        if against_iso(results.savings["scratch"])
        else ""
    )
    frontier = (
        " The frontier: the best model from scratch of any size at equal FLOPs; p, the best, what was detectable and level "
        "refer to it."
    )
    return (
        "Saving = 1 − F / F_scratch at the lowest loss (or highest average score) that both reach, never extrapolated: ≥ if "
        "the first point is already there, not reached if scratch's first point is."
        f"{frontier if name == FRONTIER else ''} Target only: the source is free. "
        f"Everything counted: source and all stages. {shared[0].upper() + shared[1:]}: the source's cost is shared by the "
        f"{reuses} method(s) that start from it.{iso}"
    )


TABLES = {"overview": main}
