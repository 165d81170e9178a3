"""Development-set scores: against FLOPs if a study has several evaluated points, else one dot per method."""

import pandas as pd
from matplotlib.figure import Figure

from growbench.analysis.figures import figure, scored
from growbench.analysis.figures.scored import Panel
from growbench.analysis.figures.tables import Tables
from growbench.analysis.frames.scores import AVERAGE

FLOORS = ("majority", "random model", "bag of words")
COSTS = (("flops", "Average, target only"), ("flops_total", "Average, all counted"))


def floors(rows: pd.DataFrame, source: pd.DataFrame) -> dict[str, float]:
    """Return the floors that these rows of one task have, times 100, and the score of the source.

    source: its rows of the table.
    """
    of_source = source.loc[source["task"] == rows["task"].iloc[0], "mean"]
    known = {"source": 100 * float(of_source.mean())} if len(of_source) else {}
    found = {name: rows[name.replace(" ", "_")] for name in FLOORS if name.replace(" ", "_") in rows}
    return known | {name: 100 * float(values.mean()) for name, values in found.items() if values.notna().any()}


def title(scores: pd.DataFrame, task: str) -> str:
    """Return a task's title: its name and metric, * where it was trained on a subset."""
    own = scores[scores["task"] == task]
    return f"{task}{'*' if own['subset'].any() else ''}, {own['metric'].iloc[0]}"


def panels(scores: pd.DataFrame, source: pd.DataFrame) -> list[Panel]:
    """Return the panels: the average over tasks, in both accountings where it is a curve, then the tasks.

    Where nobody knows what the source cost, all are of the target only. source: its rows of the table.
    """
    average = scores[scores["task"] == AVERAGE]
    unpriced = bool(scores["flops_total"].isna().any())
    costs = COSTS[:1] if unpriced else COSTS if scores["point"].nunique() > 1 else COSTS[1:]
    found = [
        Panel(title=name, short="Average over tasks", rows=average, column=column, floors=floors(average, source))
        for column, name in costs
    ]
    for task in (task for task in dict.fromkeys(scores["task"]) if task != AVERAGE):
        own = scores[scores["task"] == task]
        failed = int(own["failed"].sum())
        about = {"title": title(scores, task), "column": costs[-1][0], "floors": floors(own, source)}
        found.append(Panel(**about, rows=own, failed=failed))
    return found


def draw(tables: Tables) -> Figure:
    """Return the figure; without fine-tuning, it says so."""
    scores = tables.scores
    if scores.empty:
        canvas = figure.canvas(1.2, tables, "Scores")
        canvas.text(0.02, 0.3, "nothing was fine-tuned in this study")
        return canvas
    suite, subset = str(scores["suite"].iloc[0]), bool(scores["subset"].any())
    label = "toyglue scores (not GLUE)" if suite == "toyglue" else f"{suite}{' (subset*)' if subset else ''} scores"
    unpriced = bool(scores["flops_total"].isna().any())
    costs = "training and fine-tuning FLOPs" if scores.get("counted", pd.Series(dtype=bool)).any() else "training FLOPs"
    costs += ", target only (source's cost unknown)" if unpriced else "; tasks: everything counted"
    return scored.draw(tables, panels(scores, tables.source_scores), label, costs, "score × 100, development set")


if __name__ == "__main__":
    figure.script(draw, globals())
