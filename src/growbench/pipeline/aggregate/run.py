"""Turn a study's records into the tables that everything downstream reads."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from growbench.analysis import captions, papers
from growbench.analysis.figures.style import order
from growbench.analysis.frames import (
    Record,
    attention,
    by_point,
    differences,
    plans,
    provenance,
    runs,
    score_savings,
    search,
    starts,
    tuning,
)
from growbench.analysis.frames import averages as averages_frame
from growbench.analysis.frames import curves as curves_frame
from growbench.analysis.frames import points as points_frame
from growbench.analysis.frames import savings as savings_frame
from growbench.analysis.frames import scores as scores_frame
from growbench.analysis.frames import zeroshot as zeroshot_frame
from growbench.analysis.frames.measured import Measured
from growbench.analysis.pages import savings as savings_page
from growbench.analysis.pages import scores as scores_page
from growbench.analysis.pages import zeroshot as zeroshot_page
from growbench.analysis.papers.shared import results
from growbench.pipeline.aggregate import read
from growbench.pipeline.aggregate.read import Found
from growbench.runtime import durable, lock
from growbench.spec import SOURCE
from growbench.study.study import Study

log = logging.getLogger(__name__)
ENDINGS = (".csv", ".md", ".tex")  # of tables
Frames = dict[str, pd.DataFrame]


@dataclass(frozen=True, slots=True)
class Tables:
    """The folder of the tables, which belongs to this step.

    folder: where they lie.
    note: what the pages say at their end; empty for nothing.
    written: names of the files that were written.
    """

    folder: Path
    note: str
    written: set[str] = field(default_factory=set)

    def write(self, name: str, text: str) -> None:
        durable.write_text(self.folder / name, text)
        self.written.add(name)

    def frame(self, name: str, frame: pd.DataFrame) -> None:
        self.write(f"{name}.csv", frame.to_csv(index=False, float_format="%.10g", lineterminator="\n"))

    def page(self, name: str, text: str) -> None:
        self.write(f"{name}.md", text + self.note)

    def remove_others(self) -> None:
        """Remove the tables of an earlier config, which would stand beside those that were written."""
        others = sorted(
            path for path in self.folder.iterdir() if path.suffix in ENDINGS and path.name not in self.written
        )
        for path in others:
            path.unlink()
        if others:
            names = ", ".join(path.name for path in others)
            log.info("%s: removed what this study no longer has: %s", self.folder, names)


@dataclass(frozen=True, slots=True)
class Names:
    """The names of the rows of the tables.

    methods: in the order of the tables; several runs that are points of one curve are one row.
    bases: by row and by run, the method that it is a variant of, or itself.
    curve_of: by run, the row to which it belongs as one point; without the runs that are curves of their own.
    """

    methods: list[str]
    bases: dict[str, str]
    curve_of: dict[str, str]

    def renamed(self, records: list[Record]) -> list[Record]:
        """Return records under the names of their rows."""
        return [{**record, "method": self.curve_of.get(record["method"], record["method"])} for record in records]


def run(study: Study) -> Path:
    """Write the study's tables from its records; return the tables' folder, in which no others remain.

    Reads only the study's methods, its seeds, and the points that it fine-tunes or evaluates. Raises GrowBenchError,
    naming the file, for a record that is missing or damaged or that does not fit the study or the other records.
    """
    with lock.held(study.layout.tables_lock):
        return _run(study)


def _run(study: Study) -> Path:
    methods = order(list(study.methods))
    found = read.everything(study, methods, order(list(study.trained())))
    names = _names(study, methods, found)
    made = _frames(study, names, found)
    tables = Tables(study.layout.tables, _note(found.outdated))
    for name, frame in made.items():
        tables.frame(name, frame)
    _write_pages(study, tables, made, names.bases, found)
    finetune, frames = _comparable(study, names.renamed(found.finetune), made)
    ends = curves_frame.ends(found.curves)
    facts = results.collect(study, names.methods, names.bases, names.renamed(found.pretrain), finetune, frames, ends)
    for name in papers.names(study):
        table = papers.build(name, facts)
        for kind, text in {"csv": table.csv(), "md": table.markdown(), "tex": table.latex()}.items():
            tables.write(f"{name}.{kind}", text)
    tables.remove_others()
    return tables.folder


def _names(study: Study, methods: list[str], found: Found) -> Names:
    """Return the names of the rows of the tables. methods: of the study, in the order of the tables."""
    curve_of = {record["method"]: record["curve_of"] for record in found.pretrain if record.get("curve_of")}
    bases = {name: study.method(name).name for name in methods}
    bases |= {curve_of[name]: base for name, base in bases.items() if name in curve_of}
    return Names(list(dict.fromkeys(curve_of.get(name, name) for name in methods)), bases, curve_of)


def _frames(study: Study, names: Names, found: Found) -> Frames:
    """Return the frames that become <name>.csv, by name."""
    points = points_frame.build(found.pretrain, starts.build(found.pretrain, found.curves), study.budget.protocol)
    curves, targets = curves_frame.build(found.curves), _of_targets(points)
    finetune, methods = names.renamed(found.finetune), names.methods
    scored = scores_frame.chosen(scores_frame.runs([r for r in finetune if r["method"] != SOURCE]))
    measured = Measured(points, curves, study.budget.protocol, names.bases, found.documents)
    made = {
        "runs": runs.build(found.pretrain, found.finetune, found.zeroshot),
        "points": points,
        "savings": savings_frame.build(measured, methods, tuning.gains(found.search)),
        "savings_by_point": by_point.build(measured, methods),
        "differences": differences.build(measured, methods),
        "savings_score": score_savings.build(targets, scored, methods, study.finetune.counted),
        "scores": scores_frame.build(finetune, points, [*methods, SOURCE], study.finetune.counted),
        "averages": averages_frame.build(scored, methods),
        "curves": curves,
        "plans": plans.build(found.pretrain, curves, curves_frame.ends(found.curves), names.bases),
        "provenance": provenance.build(found.all()),
    }
    if found.attention:
        made["attention_maps"] = attention.maps(found.attention)
        made["attention_distance"] = attention.distances(found.attention)
    if found.search:
        made["search"] = search.build(found.search)
    if found.zeroshot:
        made["zeroshot"] = zeroshot_frame.build(names.renamed(found.zeroshot), targets, methods)
    return made


def _comparable(study: Study, finetune: list[Record], made: Frames) -> tuple[list[Record], Frames]:
    """Return what the papers' tables are made of: no scores if these are of probes, as the papers' are of fine-tuned models."""
    if study.finetune.protocol != scores_frame.PROBE:
        return finetune, made
    return [], made | {"scores": scores_frame.build([], made["points"], []), "averages": made["averages"].iloc[:0]}


def _write_pages(study: Study, tables: Tables, made: Frames, bases: Mapping[str, str], found: Found) -> None:
    counted = study.finetune.counted
    of_savings = savings_page.Frames(
        savings=made["savings"],
        differences=made["differences"],
        at_score=made["savings_score"],
        points=made["points"],
        bases=bases,
        counted=counted,
    )
    tables.page("savings", savings_page.page(of_savings))
    caption = captions.lines(made["points"], made["savings"].to_dict("records"), bases)
    tables.page("scores", scores_page.page(made["scores"], made["averages"], made["points"], caption, counted))
    if found.zeroshot:
        tables.page("zeroshot", zeroshot_page.page(made["zeroshot"], found.zeroshot, caption))


def _of_targets(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["method"] != SOURCE]


def _note(outdated: list[str]) -> str:
    """Return the line that names the methods whose code changed since their runs."""
    return f"- The code of these methods changed since their runs: {', '.join(outdated)}.\n" if outdated else ""
