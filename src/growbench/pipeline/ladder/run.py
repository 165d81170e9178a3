"""growbench ladder: the tables and figures of several studies together, from the tables of each."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

from growbench.analysis.explorer import page as explorer
from growbench.analysis.figures import figure
from growbench.analysis.figures.ladder import FIGURES
from growbench.analysis.ladder import claims, frames, rung
from growbench.analysis.ladder.rung import Rung
from growbench.analysis.pages import ladder as page
from growbench.errors import GrowBenchError
from growbench.pipeline.aggregate.run import Tables
from growbench.records.layout import Layout
from growbench.runtime import durable, lock

log = logging.getLogger(__name__)


def run(name: str, studies: Sequence[str]) -> Path:
    """Write the tables, figures and explorer of a ladder; return the tables' folder, in which no others remain.

    name: of the ladder. studies: names of its rungs, in their order. A rung whose study has no tables yet is left out, and the
    page names it. Raises GrowBenchError if none has any.
    """
    layout = Layout(name)
    ready = [study for study in studies if (Layout(study).tables / "savings.csv").is_file()]
    missing = [study for study in studies if study not in ready]
    if not ready:
        raise GrowBenchError(f"{layout.root}: none of the ladder's studies has tables yet; run one of them first")
    rungs = [rung.read(study, Layout(study).tables) for study in ready]
    layout.tables.mkdir(parents=True, exist_ok=True)
    with lock.held(layout.tables_lock):
        _tables(layout, rungs, missing)
        _figures(layout, rungs)
        durable.write_text(layout.explorer, explorer.build(rungs, layout))
    if missing:
        log.info("%s: without %s, which have no tables yet", layout.tables, ", ".join(missing))
    return layout.tables


def _tables(layout: Layout, rungs: Sequence[Rung], missing: Sequence[str]) -> None:
    tables = Tables(layout.tables, "")
    made = {
        "savings": frames.savings(rungs),
        "claims": claims.build(_by_name(rungs)),
        "crossings": frames.crossings(rungs),
        "profiles": frames.profiles(rungs),
        "sizes": frames.sizes(rungs),
        "sources": frames.of_source(rungs),
    }
    for name, frame in made.items():
        tables.frame(name, frame)
    tables.page("ladder", page.build(rungs, made, missing))
    tables.remove_others()


def _figures(layout: Layout, rungs: Sequence[Rung]) -> None:
    with matplotlib.rc_context(figure.LOOK):
        for name, draw in FIGURES.items():
            drawn, paths = draw(rungs), [layout.figure(name, ending) for ending in ("png", "pdf")]
            if drawn is None:
                for path in paths:
                    path.unlink(missing_ok=True)
            else:
                figure.save(drawn, paths)


def _by_name(rungs: Sequence[Rung]) -> Mapping[str, Rung]:
    return {rung.study: rung for rung in rungs}
