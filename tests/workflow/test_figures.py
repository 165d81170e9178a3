"""Figures from constructed tables: they are drawn, from tables only, with the same bytes, and with fixed styles."""

import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from support import constructed, drawn_study

from growbench.analysis import outputs
from growbench.analysis.figures import figure
from growbench.analysis.figures import tables as figure_tables
from growbench.analysis.figures.style import style
from growbench.errors import GrowBenchError
from growbench.pipeline.aggregate import run as aggregate

SCRIPTS = Path(__file__).parents[2] / "workflow" / "figures"
NEW = ("savings_by_point", "plans", "loss_after_growth", "ablation", *outputs.OPTIONAL)
FIGURES = ("loss_vs_flops", "scores", "savings", *NEW)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of a study with a crossing, one that is not reached and one below at its first point."""
    folder = tmp_path_factory.mktemp("figures")
    study = drawn_study.study(folder)
    records = constructed.write(folder, study, drawn_study.COSTS, {0: 0.0, 1: 0.02, 2: -0.015})
    drawn_study.grow(records)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        drawn_study.score(study, records)
    constructed.dump(records / "attention" / "s0.json", constructed.attention(study, 0))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return aggregate.run(study).resolve()


def read(tables: Path) -> figure_tables.Tables:
    return figure_tables.read({name: tables / f"{name}.csv" for name in (*outputs.OF_FIGURES, *outputs.OPTIONAL)})


def draw(found: figure_tables.Tables, name: str) -> Any:
    return runpy.run_path(str(SCRIPTS / f"{name}.py"))["draw"](found)


def drawn(tables: Path, name: str) -> Any:
    return draw(read(tables), name)


def texts(drawn: Any) -> str:
    panels = [
        t.get_text() for axes in drawn.axes for t in [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]
    ]
    titles = [axes.get_title(loc="left") for axes in drawn.axes]
    return "\n".join([*(t.get_text() for t in drawn.texts), *panels, *titles])


@pytest.mark.parametrize("name", FIGURES)
def test_a_script_runs_by_hand_and_gives_the_same_bytes(tables: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "figures"
    argv = [str(SCRIPTS / f"{name}.py"), str(tables), str(folder)]
    found = []
    for _ in range(2):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", argv)
            runpy.run_path(argv[0], run_name="__main__")
        found.append({path.name: path.read_bytes() for path in sorted(folder.iterdir())})
    assert set(found[0]) == {f"{name}.png", f"{name}.pdf"}
    assert found[0] == found[1]


def test_a_script_runs_under_snakemake_and_removes_figures_that_the_study_no_longer_has(
    tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = SimpleNamespace(
        input=SimpleNamespace(**{name: str(tables / f"{name}.csv") for name in outputs.OF_FIGURES}),
        output=SimpleNamespace(png=str(tmp_path / "savings.png"), pdf=str(tmp_path / "savings.pdf")),
        params=SimpleNamespace(figures=["savings", "plans"]),
    )
    for name in ("ablation.png", "plans.pdf", "notes.txt"):
        (tmp_path / name).touch()
    runpy.run_path(str(SCRIPTS / "savings.py"), init_globals={"snakemake": job}, run_name="__main__")
    assert (tmp_path / "savings.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "savings.pdf").read_bytes().startswith(b"%PDF")
    assert {path.name for path in tmp_path.iterdir()} == {"savings.png", "savings.pdf", "plans.pdf", "notes.txt"}
    assert "no longer has them: ablation.png\n" in capsys.readouterr().err


def test_a_missing_table_is_one_line(tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["savings.py", str(tmp_path / "none"), str(tmp_path)])
    with pytest.raises(SystemExit, match=r"growbench: .*points\.csv: no such table"):
        runpy.run_path(str(SCRIPTS / "savings.py"), run_name="__main__")


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_says_study_scale_n_protocol_and_commit(tables: Path, name: str) -> None:
    shown = texts(drawn(tables, name))
    for word in ("made: bert (2, 64) → (4, 128)", "n = 3 seeds", "protocol trunk", "abc123def456"):
        assert word in shown


@pytest.mark.parametrize(
    "folder",
    sorted(path.parent for path in (SCRIPTS.parents[1] / "results").glob("*/tables/points.csv")),
    ids=lambda path: path.parent.name,
)
def test_no_figure_of_a_committed_study_is_cut_off(folder: Path) -> None:
    names = [*outputs.OF_FIGURES, *(name for name in [outputs.ZEROSHOT] if (folder / f"{name}.csv").is_file())]
    found = figure_tables.read({name: folder / f"{name}.csv" for name in names})
    for name in (name for name in FIGURES if name not in outputs.OPTIONAL or name in names):
        with matplotlib.rc_context(figure.LOOK):
            canvas = draw(found, name)
            canvas.set_dpi(figure.DPI)
            box = canvas.get_tightbbox(FigureCanvasAgg(canvas).get_renderer())  # what is drawn, in inches
        width, height = canvas.get_size_inches()
        assert min(box.x0, box.y0) >= 0 and box.x1 <= width and box.y1 <= height, (name, box)


def test_loss_figure_shows_both_accountings_and_the_references(tables: Path) -> None:
    canvas = drawn(tables, "loss_vs_flops")
    shown = texts(canvas)
    for word in ("Target only", "Everything counted", "unigram entropy 5.20", "entropy floor 1.30", "FLOPs", "nats"):
        assert word in shown
    assert "scratch finishes at 1.943" in shown


def test_the_loss_figure_draws_the_lowest_loss_of_all_models_from_scratch(tables: Path) -> None:
    """Its end is the mean over seeds of the better one of scratch and the source."""
    found = read(tables)
    upper, lower = drawn(tables, "loss_vs_flops").axes
    (line,) = [line for line in lower.lines if line.get_linewidth() > 4]
    assert not [line for line in upper.lines if line.get_linewidth() > 4]
    assert set(found.from_scratch["method"]) == {"scratch", "source"}
    last = found.from_scratch[found.from_scratch["fraction"] == 1].pivot(index="seed", columns="method", values="loss")
    assert line.get_ydata()[-1] == pytest.approx(last.min(axis=1).mean())
    assert list(line.get_ydata()) == sorted(line.get_ydata(), reverse=True)
    assert "gray: from-scratch frontier" in texts(drawn(tables, "loss_vs_flops"))


def test_savings_against_tokens_per_parameter_have_a_panel_per_method(tables: Path) -> None:
    found = read(tables)
    figured = draw(found, "savings_by_point")
    shown = {axes.get_title(): axes for axes in figured.axes}
    assert list(shown)[-1] == "scratch" and set(shown) == set(drawn_study.COSTS) | set(drawn_study.VARIANTS)
    rows = found.savings_by_point
    own = rows[(rows["accounting"] == "frontier") & (rows["method"] == "bert2bert_fpi")].sort_values("tpp")
    (line,) = [line for line in shown["bert2bert_fpi"].lines if line.get_color() == style("bert2bert_fpi").color][:1]
    assert list(line.get_xdata()) == list(own["tpp"])
    assert list(line.get_ydata()) == pytest.approx(list(-np.log1p(-own["saving"])), nan_ok=True)
    assert "no placebo was run" in {text.get_text() for text in figured.legends[0].get_texts()}


def test_the_placebo_is_gray_in_every_panel(tables: Path) -> None:
    found = read(tables)
    changed = {
        name: frame.assign(base=frame["base"].where(frame["method"] != "net2net", "placebo"))
        for name, frame in (("plans", found.plans), ("savings", found.savings))
    }
    figured = draw(replace(found, **changed), "savings_by_point")
    for axes in figured.axes:
        has_gray = any(line.get_color() == "#999999" for line in axes.lines)
        assert has_gray == (axes.get_title() != "net2net")
    assert "placebo" in {text.get_text() for text in figured.legends[0].get_texts()}


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


def test_the_forest_plot_names_the_states(tables: Path) -> None:
    found = read(tables)
    missed = found.savings["method"] == "stackbert"
    columns = [column for column in found.savings if column.startswith("saving_total")]
    savings = found.savings.assign(
        status_total=found.savings["status_total"].mask(missed, "not reached"),
        **{column: found.savings[column].mask(missed) for column in columns},
    )
    shown = texts(draw(replace(found, savings=savings), "savings"))
    assert "not reached" in shown and "≥ 75.0 % [75.0, open]" in shown and "-18.8 %" in shown


def test_the_plan_says_what_a_stage_does_and_what_it_costs(tables: Path) -> None:
    shown = texts(drawn(tables, "plans"))
    for word in ("1: inputs pooled by 2", "1: sub-models of 2–4 layers", "4 × 128", "+ 10¹³", "% of scratch's"):
        assert word in shown


def test_the_plan_draws_depth_as_height_and_frozen_layers_pale(tables: Path) -> None:
    boxes = drawn(tables, "plans").axes[0].patches
    heights = {round(box.get_height(), 4) for box in boxes if box.get_fill()}
    assert {0.6, 0.3} <= heights  # of four layers, and of two
    assert any(box.get_alpha() == 0.2 for box in boxes)  # layers below a sub-model's learning ones
    assert max(box.get_x() + box.get_width() for box in boxes) == pytest.approx(100)
    assert min(box.get_x() for box in boxes) == pytest.approx(-10)  # the source costs a tenth of the budget


def test_every_growth_has_its_loss_right_after_growth(tables: Path) -> None:
    shown = texts(figured := drawn(tables, "loss_after_growth"))
    names = [label.get_text() for label in figured.axes[0].get_yticklabels()]
    assert names[::-1] == [name for name in drawn_study.COSTS if name != "scratch"]
    before = constructed.loss_at(0.3 * constructed.F, 1.2) + 0.05
    assert f"{4.25 - before:+.2f}".replace("-", "−") in shown and "random start 5.00" in shown


def test_the_ablation_shows_its_methods_their_variants_and_no_others(tables: Path) -> None:
    figured = drawn(tables, "ablation")
    shown = texts(figured)
    for name in ("scratch", "bert2bert_fpi", "bert2bert_aki", "bert2bert", *drawn_study.VARIANTS):
        assert name in shown
    assert "stackbert" not in shown and "net2net" not in shown
    setting = figured.axes[1].lines[0].get_xdata()
    assert list(setting) == [0.0, 0.125, 0.25, 0.5]


def test_attention_figures_show_source_and_target(tables: Path) -> None:
    shown = texts(drawn(tables, "attention_maps"))
    for word in (
        "source",
        "scratch",
        "bert2bert_fpi",
        "4 × 1 heads, r = 0.50",
        "layer 4",
        "seed 0",
        "32 validation sequences",
    ):
        assert word in shown
    assert "stackbert" not in shown
    figured = drawn(tables, "attention_distance")
    assert {"source", *drawn_study.COSTS} <= set(texts(figured).split("\n"))
    assert [round(y, 3) for y in figured.axes[-1].lines[0].get_ydata()] == [0.1, 0.2]


def test_attention_figures_of_a_study_without_it_say_so(tables: Path) -> None:
    without = figure_tables.read({name: tables / f"{name}.csv" for name in outputs.OF_FIGURES})
    for name in ("attention_maps", "attention_distance"):
        with pytest.raises(GrowBenchError, match=rf"{name}\.csv: missing; set `attention: true`"):
            draw(without, name)


def test_a_variant_has_its_base_s_color_and_a_look_of_its_own(tables: Path) -> None:
    found = read(tables)
    for name in drawn_study.VARIANTS:
        own, base = found.look(name), style("bert2bert")
        assert own.color == base.color and own.marker != base.marker and own.dash != base.dash
    assert found.look("net2net") == style("net2net")


def test_nothing_here_imports_torch() -> None:
    code = "import sys, growbench.pipeline.aggregate.run, growbench.analysis.figures.figure; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})
