"""The page around the chart: one file that needs no network."""

import html
import json
from collections.abc import Sequence
from typing import Any

import vl_convert

from growbench.analysis import captions, wording
from growbench.analysis.explorer import chart, data
from growbench.analysis.ladder.rung import Rung
from growbench.records.layout import Layout

LOOK = """
:root { color-scheme: light dark; --ink: #222; --paper: #fff; --soft: #666; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e6; --paper: #16181c; --soft: #a5a5a5; } }
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 1rem auto; padding: 0 .8rem;
  max-width: 68rem; }
h1 { font-size: 1.3rem; } p { max-width: 46rem; } .note { color: var(--soft); font-size: 13px; } #chart { width: 100%; }
.vega-bindings { display: grid; gap: .4rem; margin: .6rem 0; order: -1; } .vega-embed { display: flex !important; flex-direction: column; }
.vega-bind { display: flex; flex-wrap: wrap; gap: .4rem; } .vega-bind-name { min-width: 11rem; } .vega-bind input[type=range] { flex: 1; min-width: 12rem; }
.vega-bind select, .vega-bind input { font: inherit; max-width: 100%; }
svg text { fill: var(--ink); } svg { overflow: visible; touch-action: pan-y; max-width: 100%; }
"""
DARK = {"axis": {"gridColor": "#333", "domainColor": "#777", "tickColor": "#777"}, "view": {"stroke": "#444"}}
BLACK = {
    "#000000": "#888888",
    "#404040": "#999999",
}  # colors that are seen on neither dark paper nor light, and what stands for them


def build(rungs: Sequence[Rung], layout: Layout) -> str:
    """Return the page of a study, its only rung, or of a ladder. layout: of the study or ladder whose folder holds the page."""
    points = [row for rung in rungs for row in data.points(rung, layout)]
    savings = [row for rung in rungs for row in data.savings(rung)]
    levels = {rung.study: [float(loss) for loss in data.losses(rung)] for rung in rungs}
    colors = {name: BLACK.get(color, color) for name, color in data.looks(rungs).items()}
    vega = chart.spec(points, savings, levels, colors)
    name = html.escape(layout.study)
    library = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").replace("</script", "<\\/script")
    parts = [
        f"<h1>{name}: what does growing save?</h1>",
        "<p>Choose what counts and against what. At <i>the line</i>, drag it in the upper chart (or move its slider) to the loss "
        "at which savings are read. A point of the upper chart opens the record of its first seed.</p>",
        '<div id="chart"></div>',
        *(f'<p class="note">{html.escape(text)}</p>' for text in _notes(rungs)),
        f"<script>{library}</script>",
        f"<script>{_embed(vega)}</script>",
    ]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}: explorer</title><style>{LOOK}</style>"
    )
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def _embed(vega: dict[str, Any]) -> str:
    """Return the script that shows the chart, which is dark if the reader's system is."""
    return (
        'const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;\n'
        f'vegaEmbed("#chart", {_safe(vega)}, {{mode: "vega", renderer: "svg", actions: false, logLevel: 1, '
        f"config: dark ? {_safe(DARK)} : {{}}}});\n"
    )


def _safe(values: Any) -> str:
    """Return JSON that cannot end the script that it stands in."""
    return json.dumps(values, allow_nan=False).replace("<", "\\u003c")


def _notes(rungs: Sequence[Rung]) -> list[str]:
    made = []
    for rung in rungs:
        bases, rows = rung.bases, rung.savings.to_dict("records")
        made.append(
            f"{rung.study}: {wording.scale(rung.points)}, n = {rung.seeds}. {captions.tokens(rows, bases)} "
            f"{captions.placebo(rows, bases)} Records: {wording.provenance(rung.points)}."
        )
    made.append(
        "Savings are shares of the baseline's FLOPs at equal loss; bars are 95 % t intervals over seeds, paired. Read as the tables, "
        "each seed at the lowest loss that both reach, they are the numbers of savings.csv; at the line, all seeds at its loss. ≥: a "
        "lower bound, because the method is below that loss at its own first point. Nothing is extrapolated."
    )
    return made
