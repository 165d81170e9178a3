"""Figures from constructed tables: they are drawn, from tables only, with the same bytes, and with fixed styles."""

import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import constructed
import pytest

from growbench import aggregate
from growbench.analysis import figure
from growbench.analysis.style import KNOWN, order, style

SCRIPTS = Path(__file__).parents[1] / "workflow" / "figures"
FIGURES = ("loss_vs_flops", "score_vs_flops", "savings")
COSTS = {"scratch": 1.0, "stackbert": 1.2, "bert2bert_fpi": 0.5, "a_new_method": 0.1}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of a study with a crossing, one that is not reached and one below at its first point."""
    folder = tmp_path_factory.mktemp("figures")
    methods = dict.fromkeys(COSTS) | {"a_new_method": {"of": "direct_copy"}}
    study = constructed.study(methods, points=[0.5, 1.0])
    constructed.write(folder, study, COSTS, {0: 0.0, 1: 0.02, 2: -0.015})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return aggregate.run(study).resolve()


def read(tables: Path) -> figure.Tables:
    return figure.read({name: tables / f"{name}.csv" for name in figure.NAMES})


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


def test_a_script_runs_under_snakemake(tables: Path, tmp_path: Path) -> None:
    job = SimpleNamespace(
        input=SimpleNamespace(**{name: str(tables / f"{name}.csv") for name in figure.NAMES}),
        output=SimpleNamespace(png=str(tmp_path / "f.png"), pdf=str(tmp_path / "f.pdf")),
    )
    runpy.run_path(str(SCRIPTS / "savings.py"), init_globals={"snakemake": job}, run_name="__main__")
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "f.pdf").read_bytes().startswith(b"%PDF")


def test_a_missing_table_is_one_line(tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["savings.py", str(tmp_path / "none"), str(tmp_path)])
    with pytest.raises(SystemExit, match=r"growbench: .*points\.csv: no such table"):
        runpy.run_path(str(SCRIPTS / "savings.py"), run_name="__main__")


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_says_study_scale_n_protocol_and_commit(tables: Path, name: str) -> None:
    said = texts(runpy.run_path(str(SCRIPTS / f"{name}.py"))["draw"](read(tables)))
    for word in ("made: bert (2, 64) → (4, 128)", "n = 3 seeds", "protocol trunk", "abc123def456"):
        assert word in said


def test_loss_figure_shows_both_accountings_and_the_references(tables: Path) -> None:
    drawn = runpy.run_path(str(SCRIPTS / "loss_vs_flops.py"))["draw"](read(tables))
    said = texts(drawn)
    for word in ("Target only", "Everything counted", "unigram entropy 5.20", "entropy floor 1.30", "FLOPs", "nats"):
        assert word in said
    assert "scratch finishes at 1.943" in said


def test_score_figure_says_that_toyglue_is_not_glue(tables: Path) -> None:
    said = texts(runpy.run_path(str(SCRIPTS / "score_vs_flops.py"))["draw"](read(tables)))
    for word in ("toyglue", "not GLUE", "majority 50.0", "topic*", *constructed.TASKS):
        assert word in said


def test_forest_plot_tells_the_states_in_words(tables: Path) -> None:
    said = texts(runpy.run_path(str(SCRIPTS / "savings.py"))["draw"](read(tables)))
    assert "not reached" in said and "≥ 50.0 %" not in said and "≥ 75.0 %" in said


def test_styles_depend_on_the_name_only() -> None:
    """Changing one of these would repaint committed figures."""
    assert style("scratch").colour == "#000000"
    assert (style("stackbert").colour, style("stackbert").marker) == ("#E69F00", "s")
    assert (style("bert2bert_fpi").colour, style("bert2bert_aki").colour) == ("#0072B2", "#D55E00")
    assert style("a_new_method") == style("a_new_method") and style("a_new_method") not in KNOWN.values()


def test_known_styles_differ_in_colour_and_in_marker_with_dash() -> None:
    assert len({s.colour for s in KNOWN.values()}) == len(KNOWN)
    assert len({(s.marker, s.dash) for s in KNOWN.values()}) == len(KNOWN)


def test_scratch_comes_first_and_the_rest_as_given() -> None:
    assert order(["b", "scratch", "a", "b"]) == ["scratch", "b", "a"]


def test_ticks_are_round_few_and_inside() -> None:
    for low, high, most in ((8e13, 1.2e14, 2), (1e13, 1.1e14, 5), (3e12, 7e18, 5), (9.1e13, 9.9e13, 3)):
        ticks = figure.round_ticks(low, high, most)
        assert len(ticks) <= most and all(low <= tick <= high for tick in ticks)
    assert figure.power(2e13) == "2×10¹³" and figure.power(1e14) == "10¹⁴" and figure.power(1.2e14) == "1.2×10¹⁴"


def test_nothing_here_imports_torch() -> None:
    code = "import sys, growbench.aggregate, growbench.analysis.figure; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})
