"""Print what the same methods save in two studies, such as one in bf16 and one in float32, and their paired difference.

    python workflow/compare_studies.py config/precision-bf16.yaml config/precision-float32.yaml

Read are the records of the methods, and the finished points (by tokens per parameter), that both studies have. Both must
have the same seeds, corpus, validation documents, LRs and warm-ups. The first difference is that of the losses, in nats. Savings are against each study's own scratch at the
point, everything counted. The second difference is that of F / F_scratch: +2 % means that the
method costs 2 % more of scratch's FLOPs in the second study. Both are paired by seed. Intervals are t intervals at 95 % over seeds.
The documents are the same on both sides, so that most of their error cancels; it is left out.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from growbench.analysis.frames import curves as curves_frame
from growbench.analysis.frames import points as points_frame
from growbench.analysis.frames import starts
from growbench.analysis.frames.measured import SCRATCH, Measured
from growbench.analysis.pages.markdown import grid
from growbench.analysis.statistics.intervals import Floats, Interval, mean_interval
from growbench.analysis.statistics.savings import REACHED, Saving, measure_at
from growbench.errors import GrowBenchError
from growbench.pipeline.aggregate import alike, read
from growbench.pipeline.aggregate.read import Found
from growbench.spec import SOURCE
from growbench.study import config
from growbench.study.study import Study, point_name

COST = "flops_total"
SAME = ("lr", "warmup")  # options that must not differ
HEAD = (
    "method", "tokens per parameter", "loss, second - first", "saving in {}", "saving in {}", "cost, second / first - 1",
)  # fmt: skip


@dataclass(frozen=True)
class Side:
    """One of the two studies.

    found: its records of the common methods.
    measured: their curves.
    """

    study: Study
    found: Found
    measured: Measured

    @property
    def name(self) -> str:
        """The study's name, with the precision of its runs."""
        return f"{self.study.study} ({', '.join(sorted(set(self.measured.points['precision'])))})"

    def at(self, method: str, tokens: float, column: str) -> Floats:
        """Return a column of a method's point at so many tokens per parameter, one value per seed; empty without the point."""
        own = self.measured.own(method)
        return own[own["point"] == point_name(tokens / max(budgets(self.study)))][column].to_numpy(dtype=np.float64)

    def saving(self, method: str, tokens: float) -> Saving:
        """Return what a method saves by its point at so many tokens per parameter."""
        curve, scratch = self.measured.curve(method, COST), self.measured.curve(SCRATCH, COST)
        return measure_at(curve, self.at(method, tokens, COST), scratch)


def budgets(study: Study) -> Sequence[float]:
    """Return the tokens per parameter of a study's points. Raises GrowBenchError if its budgets are given in another way."""
    if study.budget.tokens_per_parameter is None:
        raise GrowBenchError(f"{study.study}: budget.tokens_per_parameter is null, but points are matched by it")
    return study.budget.tokens_per_parameter


def side(study: Study, methods: list[str]) -> Side:
    """Read the records of these methods."""
    trained = [*methods, *([SOURCE] if SOURCE in study.trained() else [])]
    found, protocol = read.everything(study, methods, trained), study.budget.protocol
    points = points_frame.build(found.pretrain, starts.build(found.pretrain, found.curves), protocol)
    bases = {name: study.method(name).name for name in methods}
    return Side(study, found, Measured(points, curves_frame.build(found.curves), protocol, bases, found.documents))


def compared(first: Study, second: Study) -> str:
    """Return the Markdown table of two studies. Raises GrowBenchError if they cannot be compared."""
    methods = [name for name in first.methods if name in second.methods]
    tokens = [value for value in budgets(first) if value in budgets(second)]
    if len(methods) < 2 or SCRATCH not in methods or not tokens:
        raise GrowBenchError(
            f"{first.study} and {second.study}: no common point, or no common method besides scratch; nothing to compare"
        )
    if first.seeds != second.seeds:
        raise GrowBenchError(
            f"{first.study} and {second.study}: their seeds differ, but seeds are paired; use the same"
        )
    sides = side(first, methods), side(second, methods)
    _check(sides)
    rows = [_row(sides, method, value) for method in methods for value in tokens if _both(sides, method, value)]
    names = iter(one.name for one in sides)
    return grid([title.format(next(names)) if "{}" in title else title for title in HEAD], rows)


def _check(sides: tuple[Side, Side]) -> None:
    """Raise GrowBenchError unless the runs of both studies differ in nothing that is not meant."""
    runs = {
        one.study.layout.run_record(values["method"], values["seed"]): values
        for one in sides
        for values in one.found.pretrain
    }
    alike.equal({path: values["identity"]["corpus"] for path, values in runs.items()}, "corpus")
    for method in dict.fromkeys(values["method"] for values in runs.values()):
        for key in SAME:
            found = {path: values["options"].get(key) for path, values in runs.items() if values["method"] == method}
            alike.equal(found, key)
    alike.documents(
        {one.study.layout.documents(*run): losses for one in sides for run, losses in one.found.documents.items()}
    )


def _both(sides: tuple[Side, Side], method: str, tokens: float) -> bool:
    return all(len(one.at(method, tokens, COST)) for one in sides)


def _row(sides: tuple[Side, Side], method: str, tokens: float) -> list[str]:
    first, second = (one.at(method, tokens, "loss") for one in sides)
    cells = [method, f"{tokens:g}", _shown(second - first, "{:+.4f}")]
    if method == SCRATCH:
        return [*cells, *(3 * ["baseline"])]
    savings = [one.saving(method, tokens) for one in sides]
    change = "none"  # of bounds
    if all(saving.status == REACHED for saving in savings):
        before, after = (np.array(saving.logs) for saving in savings)
        change = _shown(np.expm1(after - before), "{:+.1%}")
    return [*cells, *map(_value, savings), change]


def _value(saving: Saving) -> str:
    bound = f"{saving.status}: " if saving.status != REACHED else ""
    return saving.status if saving.value is None else bound + _interval(saving.value, saving.interval, "{:.1%}")


def _shown(values: Floats, form: str) -> str:
    """Return the mean over seeds with its interval."""
    return _interval(float(values.mean()), mean_interval(values), form)


def _interval(value: float, ends: Interval, form: str) -> str:
    if ends == Interval():
        return form.format(value)
    return f"{form.format(value)} [{', '.join('' if end is None else form.format(end) for end in (ends.lo, ends.hi))}]"


def main(words: Sequence[str]) -> int:
    """Print the table of two config files."""
    if len(words) != 2:
        sys.stderr.write("usage: python workflow/compare_studies.py CONFIG CONFIG\n")
        return 2
    try:
        sys.stdout.write(compared(*(config.gather([Path(name)]) for name in words)))
    except GrowBenchError as error:
        sys.stderr.write(f"compare_studies: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
