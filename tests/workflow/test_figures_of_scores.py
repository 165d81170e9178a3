"""Figures of scores from constructed tables: curves where several points are scored, else dots."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import constructed, drawn_study
from support.figures import draw, drawn, read, texts

from growbench.analysis import outputs
from growbench.errors import GrowBenchError


def test_score_figure_says_that_toyglue_is_not_glue(tables: Path) -> None:
    shown = texts(drawn(tables, "scores"))
    for word in ("toyglue", "not GLUE", "majority 50.0", "topic*", *constructed.TASKS):
        assert word in shown


def lines(axes: Any) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
    """Return what the lines of error bars show: x and y of each."""
    return [
        (tuple(bars.lines[0].get_xdata()), tuple(bars.lines[0].get_ydata()))
        for bars in axes.containers
        if bars.lines[0]
    ]


def test_scores_of_several_points_are_curves_whose_markers_lie_at_the_models_flops(tables: Path) -> None:
    """Methods that cost the same are drawn on top of each other rather than moved."""
    found = read(tables)
    figured = draw(found, "scores")
    assert "compute" in texts(figured)
    for axes, column in zip(figured.axes[:2], ("flops", "flops_total"), strict=True):
        rows = found.scores[found.scores["task"] == "average"].sort_values("fraction")
        wanted = {tuple(rows.loc[rows["method"] == name, column]) for name in drawn_study.COSTS}
        assert {x for x, _ in lines(axes)} == wanted and len(axes.containers) == len(drawn_study.COSTS)


def test_scores_of_one_point_are_a_row_of_dots_per_method_with_floors_as_vertical_lines(tables: Path) -> None:
    found = read(tables)
    found = replace(found, scores=found.scores[found.scores["point"] == "p100"].assign(random_model=0.79))
    figured = draw(found, "scores")
    assert "compute" not in texts(figured) and "random model 79.0" in texts(figured)
    assert "← majority 50.0" in texts(figured), "a line there would flatten the scores"
    average = found.scores[found.scores["task"] == "average"].set_index("method")["mean"]
    shown = {y: x for x, y in lines(figured.axes[0])}
    names = {
        round(at): label.get_text()
        for at, label in zip(figured.axes[0].get_yticks(), figured.axes[0].get_yticklabels(), strict=True)
    }
    assert {names[round(y)]: x for (y,), (x,) in shown.items()} == {
        name: pytest.approx(100 * average[name]) for name in drawn_study.COSTS
    }
    verticals = [
        line.get_xdata()
        for line in figured.axes[0].lines
        if len(set(line.get_xdata())) == 1 and list(line.get_ydata()) == [0, 1]
    ]
    assert [list(x) for x in verticals] == [[pytest.approx(79.0)] * 2]


def test_zero_shot_scores_of_several_points_are_curves_over_all_flops(tables: Path) -> None:
    found = read(tables)
    figured = drawn(tables, "zeroshot")
    (axes,) = figured.axes
    assert "pairs, accuracy" in texts(figured) and "chance 50.0" in texts(figured)
    assert "against compute" in texts(figured)
    rows = found.zeroshot[found.zeroshot["main"]].sort_values("fraction")
    wanted = {
        (tuple(own["flops_total"]), tuple(100 * own["mean"])) for _, own in rows.groupby("method") if len(own) > 1
    }
    assert (
        len(rows["point"].unique()) == 3
        and wanted <= set(lines(axes))
        and len(axes.containers) == len(drawn_study.COSTS)
    )


def test_zero_shot_scores_of_one_point_are_dots(tables: Path) -> None:
    found = read(tables)
    last = found.zeroshot[found.zeroshot["point"] == "p100"]
    figured = draw(replace(found, zeroshot=last), "zeroshot")
    assert "of the finished points" in texts(figured)
    means = 100 * last[last["main"]].set_index("method")["mean"]
    assert {y: x for (x,), (y,) in lines(figured.axes[0])} == {-i: means[name] for i, name in enumerate(found.methods)}
    perplexities = last[last["main"]].assign(metric="word_perplexity", mean=lambda rows: 1e5 + 1e5 * rows["fraction"])
    assert draw(replace(found, zeroshot=perplexities), "zeroshot").axes[0].get_xscale() == "log"


def test_a_study_that_scores_nothing_has_no_figure_of_it(tables: Path) -> None:
    found = read(tables)
    with pytest.raises(GrowBenchError, match=r"zeroshot\.csv: missing; name a test set in zeroshot\.names"):
        draw(replace(found, zeroshot=found.zeroshot.iloc[:0]), "zeroshot")
    without = constructed.study({"scratch": None})
    assert not outputs.has_figure(without, "zeroshot") and outputs.has_figure(without, "scores")
    assert outputs.has_figure(constructed.study({"scratch": None}, **{"zeroshot.names": ["pairs"]}), "zeroshot")
