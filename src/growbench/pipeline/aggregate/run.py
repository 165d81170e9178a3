"""Turn a study's records into the tables that everything downstream reads."""

from pathlib import Path

import pandas as pd

from growbench.analysis import papers as tables
from growbench.analysis.figures.style import order
from growbench.analysis.frames import Record, attention, plans, provenance, runs, score_savings, search, starts
from growbench.analysis.frames import averages as averages_frame
from growbench.analysis.frames import curves as curves_frame
from growbench.analysis.frames import points as points_frame
from growbench.analysis.frames import savings as savings_frame
from growbench.analysis.frames import scores as scores_frame
from growbench.analysis.frames import zeroshot as zeroshot_frame
from growbench.analysis.pages import savings as savings_page
from growbench.analysis.pages import scores as scores_page
from growbench.analysis.pages import zeroshot as zeroshot_page
from growbench.analysis.papers.shared import results
from growbench.pipeline.aggregate import read
from growbench.runtime import durable, lock
from growbench.spec import SOURCE
from growbench.study.study import Study


def run(study: Study) -> Path:
    """Write the study's tables from its records; return the tables' folder.

    Reads only the study's methods, its seeds, and the points that it fine-tunes or evaluates. Raises GrowBenchError for
    a missing or damaged record and for records that do not belong together.
    """
    with lock.held(study.layout.tables_lock):
        return _run(study)


def _run(study: Study) -> Path:
    methods = order(list(study.methods))
    pretrain = read.pretrain(study, methods)
    finetune = read.finetune(study, pretrain)
    zeroshot = read.zeroshot(study, [r for r in pretrain if r["method"] != SOURCE])
    made = _frames(study, methods, pretrain, finetune, zeroshot)
    folder = study.layout.tables
    for name, frame in made.items():
        _write(folder / f"{name}.csv", frame)
    targets = _of_targets(made["points"])
    durable.write_text(folder / "savings.md", savings_page.page(made["savings"], made["savings_score"], targets))
    durable.write_text(folder / "scores.md", scores_page.page(_of_targets(made["scores"]), made["averages"], targets))
    found = results.collect(study, methods, pretrain, finetune, made)
    for name in tables.names(study):
        table = tables.build(name, found)
        for kind, text in {"csv": table.csv(), "md": table.markdown(), "tex": table.latex()}.items():
            durable.write_text(folder / f"{name}.{kind}", text)
    _write_zeroshot(folder, zeroshot, targets, methods)
    return folder


def _frames(
    study: Study,
    methods: list[str],
    pretrain: list[Record],
    finetune: list[Record],
    zeroshot: list[Record],
) -> dict[str, pd.DataFrame]:
    """Return the frames that become <name>.csv, by name."""
    curve_files = {(r["method"], r["seed"]): study.layout.curve(r["method"], r["seed"]) for r in pretrain}
    points = points_frame.build(pretrain, starts.build(pretrain, curve_files), study.budget.protocol)
    curves = curves_frame.build(curve_files)
    targets = _of_targets(points)
    scored = scores_frame.chosen(scores_frame.runs([r for r in finetune if r["method"] != SOURCE]))
    made = {
        "runs": runs.build(pretrain, finetune, zeroshot),
        "points": points,
        "savings": savings_frame.build(targets, curves, methods, study.budget.protocol),
        "savings_score": score_savings.build(targets, scored, methods),
        "scores": scores_frame.build(finetune, points, [*methods, SOURCE]),
        "averages": averages_frame.build(scored, methods),
        "curves": curves,
        "plans": plans.build(pretrain, curves, {name: study.method(name).name for name in methods}),
        "provenance": provenance.build([*pretrain, *finetune, *zeroshot]),
    }
    if study.attention:
        maps = read.attention(study, pretrain)
        made |= {"attention_maps": attention.maps(maps), "attention_distance": attention.distances(maps)}
    if searched := read.search(study, order(list(study.trained()))):
        made["search"] = search.build(searched)
    return made


def _of_targets(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["method"] != SOURCE]


def _write_zeroshot(folder: Path, records: list[Record], targets: pd.DataFrame, methods: list[str]) -> None:
    """Write zeroshot.csv and zeroshot.md where the study has any; those of an earlier config do not stay."""
    csv, page = folder / "zeroshot.csv", folder / "zeroshot.md"
    if not records:
        for path in (csv, page):
            path.unlink(missing_ok=True)
        return
    table = zeroshot_frame.build(records, targets, methods)
    _write(csv, table)
    durable.write_text(page, zeroshot_page.page(table, targets, records))


def _write(path: Path, frame: pd.DataFrame) -> None:
    durable.write_text(path, frame.to_csv(index=False, float_format="%.10g", lineterminator="\n"))
