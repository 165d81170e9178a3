"""Zero-shot scores: against FLOPs, everything counted, if a study has several scored points, else one dot per method."""

import pandas as pd
from matplotlib.figure import Figure

from growbench.analysis.figures import figure, scored
from growbench.analysis.figures.scored import Panel
from growbench.analysis.figures.tables import Tables
from growbench.errors import GrowBenchError

ACCURACY, BITS = "accuracy", "bits_per_byte"
WORDS = {ACCURACY: "accuracy × 100 ↑", BITS: "bits per byte ↓", "word_perplexity": "word perplexity ↓"}
CHANCE = ("pairs", "BLiMP")  # of two sentences


def panel(rows: pd.DataFrame, task: str) -> Panel:
    """Return the panel of a test set's main score; perplexities on a logarithmic axis. Its arrow points to better scores."""
    metric = str(rows["metric"].iloc[0])
    return Panel(
        title=f"{task}{'*' if rows['subset'].any() else ''}, {WORDS.get(metric, metric)}",
        rows=rows,
        scale=100 if metric == ACCURACY else 1,
        log=metric not in (ACCURACY, BITS),
        floors={"chance": 50.0} if task in CHANCE else {},
        failed=int(rows["failed"].sum()),
    )


def draw(tables: Tables) -> Figure:
    """Return the figure. Raises GrowBenchError for a study that scores nothing without fine-tuning."""
    scores = tables.zeroshot
    if scores.empty:
        raise GrowBenchError("zeroshot.csv: missing; name a test set in zeroshot.names and run the study")
    main = scores[scores["main"]]
    panels = [panel(main[main["task"] == task], task) for task in dict.fromkeys(main["task"])]
    return scored.draw(tables, panels, "Zero-shot scores", "training FLOPs, everything counted", "")


if __name__ == "__main__":
    figure.script(draw, globals())
