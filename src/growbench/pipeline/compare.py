"""growbench compare: some methods of a study against others, from their records alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from growbench.analysis import comparison
from growbench.analysis.captions import PLACEBO
from growbench.analysis.figures.style import order
from growbench.analysis.frames import curves, points, provenance, starts
from growbench.analysis.frames.measured import SCRATCH, Measured
from growbench.errors import GrowBenchError, nearest
from growbench.pipeline.aggregate import read
from growbench.pipeline.aggregate.read import Found
from growbench.study.study import Study


@dataclass(frozen=True)
class Comparison:
    """What was asked for. table: one row per pair. notes: what its numbers mean, and where they are from."""

    study: str
    table: pd.DataFrame
    notes: list[str]


def run(study: Study, methods: Sequence[str], against: Sequence[str], strict: bool) -> Comparison:
    """Compare methods with others; with every other method of the study that has its records if `against` is empty.

    Records of scratch are needed as well; those of the placebo are used if they are there. strict: refuse records that were
    not made alike. Raises GrowBenchError for a name that is not the study's, and for a record that is missing or does not fit.
    """
    for name in (*methods, *against):
        if name not in study.methods:
            raise GrowBenchError(f"{name}: not a method of study {study.study}; {nearest(name, list(study.methods))}")
    others = list(against) or [
        name for name in order(list(study.methods)) if _there(study, name) and name not in methods
    ]
    placebos = [name for name in study.methods if study.method(name).name == PLACEBO and _there(study, name)]
    names = order(list(dict.fromkeys([SCRATCH, *placebos, *methods, *others])))
    few = replace(study, methods={name: study.methods[name] for name in names}, tasks=replace(study.tasks, names=()),
                  zeroshot=replace(study.zeroshot, names=()), attention=False)  # fmt: skip
    found = read.everything(few, names, order(list(few.trained())))
    if strict and (reason := _unlike(found)):
        raise GrowBenchError(f"{study.layout.records}: {reason}; leave out --strict to compare them all the same")
    bases = {name: study.method(name).name for name in names}
    made = points.build(found.pretrain, starts.build(found.pretrain, found.curves), study.budget.protocol)
    measured = Measured(made, curves.build(found.curves), study.budget.protocol, bases, found.documents)
    table = comparison.build(measured, list(dict.fromkeys(methods)), others)
    off = [far for values in found.pretrain if (far := provenance.restored(values)) is not None]
    return Comparison(study.study, table, comparison.notes(measured, table, max(off, default=None)))


def _there(study: Study, method: str) -> bool:
    return all(study.layout.run_record(method, seed).exists() for seed in study.seeds)


def _unlike(found: Found) -> str:
    """Return in which way records were not made alike; empty if they were."""
    if found.outdated:
        return f"the code of {', '.join(found.outdated)} changed since"
    origins = [values["provenance"] for values in found.pretrain]
    if any(provenance.restored(values) is not None for values in found.pretrain):
        return "a source was trained again, and is not its record's to the last bit"
    if any(origin["dirty"] for origin in origins):
        return "some were made from code that was not committed"
    for what, words in (("hardware", "on {} kinds of hardware"), ("versions", "with {} sets of package versions")):
        if (kinds := len({str(origin[what]) for origin in origins})) > 1:
            return f"they were made {words.format(kinds)}"
    return ""
