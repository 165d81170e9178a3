"""Figures from constructed tables: they are drawn, from tables only, with the same bytes, and with fixed styles."""

import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from support import constructed, drawn_study
from support.figures import SCRIPTS, draw, drawn, read, texts

from growbench.analysis import outputs
from growbench.analysis.figures import figure
from growbench.analysis.figures import tables as figure_tables
from growbench.analysis.figures.style import style
from growbench.errors import GrowBenchError

NEW = ("savings_by_point", "plans", "loss_after_growth", "ablation", *outputs.OPTIONAL)
FIGURES = ("loss_vs_flops", "scores", "savings", *NEW)


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


def test_a_footer_takes_the_two_lines_that_figures_leave_for_it_in_smaller_letters_if_need_be(
    tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for letters, size in ((100, 5.0), (178, 5.0), (190, 4.7), (200, 4.4)):
        monkeypatch.setattr(figure_tables.Tables, "footer", ("abcd " * 50)[: letters - 1] + "e")
        lines = [text for text in figure.canvas(3.0, read(tables), "title").texts if "abcd" in text.get_text()]
        assert len(lines) == 2 and {text.get_fontsize() for text in lines} == {size}
        assert sum(len(text.get_text()) for text in lines) >= letters - 2


def test_a_footer_names_two_commits_or_one_of_several_machines_and_counts_the_others(tables: Path) -> None:
    found = read(tables)
    commits = ["abcde"[i % 5] * 12 for i in range(len(found.points))]
    several = replace(found, points=found.points.assign(commit=commits))
    assert "commit aaaaaaaaaaaa, bbbbbbbbbbbb and 3 more;" in several.footer
    mixed = replace(found, points=several.points.assign(hardware=commits))
    assert "commit aaaaaaaaaaaa and 4 more;" in mixed.footer
    assert "more" not in found.footer


def test_a_legend_has_as_many_columns_as_its_names_leave_room_for() -> None:
    assert figure.legend_height(["mslt"] * 12) == pytest.approx(0.08 + 4 * 0.145)
    assert figure.legend_height(["bert2bert_fpi_shuffled"] * 12) == pytest.approx(0.08 + 6 * 0.145)
    assert figure.legend_height(["a_name_that_is_longer_than_half_of_the_figure"] * 3) == pytest.approx(
        0.08 + 3 * 0.145
    )


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


def test_the_loss_figure_names_at_most_eight_methods_beside_their_lines_and_draws_the_others_thin_and_gray(
    tables: Path,
) -> None:
    found = read(tables)
    rows = found.savings.to_dict("records")
    more = [{**rows[-1], "method": f"more_{i}", "base": f"more_{i}", "saving_total": -9.0} for i in range(9)]
    points = [
        found.points,
        *(
            found.points[found.points["method"] == rows[-1]["method"]].assign(method=row["method"], run=row["method"])
            for row in more
        ),
    ]
    many = replace(found, savings=pd.DataFrame([*rows, *more]), points=pd.concat(points))
    assert len(many.leading) == 8 and not drawn(tables, "loss_vs_flops").legends
    for axes in draw(many, "loss_vs_flops").axes:
        named = [text.get_text() for text in axes.texts if text.get_text() in set(many.savings["method"])]
        assert sorted(named) == sorted(many.leading)
        assert f"thin gray: {len(many.methods) - 8} more" in {text.get_text() for text in axes.texts}
        assert sum(line.get_color() == "#b0b0b0" for line in axes.lines) == len(many.methods) - 8


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
    assert "broad: from-scratch frontier" in texts(drawn(tables, "loss_vs_flops"))


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
