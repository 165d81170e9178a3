"""A study of budget.per_point, really trained: one run per budget, one curve in tables, figures and on the terminal."""

import json
import runpy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support import tiny
from support.workflow import ROOT

from growbench.analysis import outputs
from growbench.analysis.figures import tables as figure_tables
from growbench.analysis.figures.style import style
from growbench.cli import main as cli
from growbench.pipeline.aggregate import run as aggregate
from growbench.pipeline.pretrain import run as pretrain
from growbench.records.layout import Layout
from growbench.spec import SOURCE
from growbench.study import config, files

pytestmark = pytest.mark.slow
RUNS = ["stackbert_p60", "stackbert_p80", "stackbert_p100"]
SEEDS = [0, 1]
CHANGES: dict[str, Any] = {
    "study": "points",
    "seeds": SEEDS,
    "attention": False,
    "objective": {"kind": "mlm"},
    "budget": {"per_point": True},
    "tasks": {"names": []},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working folder of a study with a source, scratch, a method that starts from it, and one that grows at shares."""
    folder = tmp_path_factory.mktemp("points")
    values = files.merged(files.merged(files.read(ROOT / "config/demo.yaml"), tiny.SMALL), CHANGES)
    values["methods"] = dict.fromkeys(["scratch", "stackbert", "bert2bert_fpi"])
    (folder / "points.yaml").write_text(json.dumps(values))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        study = config.load("points.yaml")
        tiny.corpus(folder / study.layout.corpus)
        for method in (SOURCE, *study.methods):
            for seed in study.seeds:
                pretrain.run(study, method, seed)
        aggregate.run(study)
    return folder


def read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / Layout("points").tables / f"{name}.csv")


def shown(folder: Path, name: str) -> Any:
    """Return the figure of this name."""
    tables = folder / Layout("points").tables
    found = figure_tables.read({name: tables / f"{name}.csv" for name in outputs.OF_FIGURES})
    return runpy.run_path(str(ROOT / f"workflow/figures/{name}.py"))["draw"](found)


def test_its_runs_are_the_points_of_one_curve(folder: Path) -> None:
    points = read(folder, "points")
    own = points[(points["method"] == "stackbert") & (points["seed"] == 0)]
    assert list(own["run"]) == RUNS and list(own["point"]) == ["p60", "p80", "p100"]
    scratch = points[(points["method"] == "scratch") & (points["seed"] == 0)]
    assert list(own["flops"] / scratch["flops"].to_numpy()) == pytest.approx([1, 1, 1], abs=0.1)
    for name in ("savings", "savings_by_point", "differences", "overview"):
        table = read(folder, name)
        text = " ".join(map(str, table.select_dtypes(exclude="number").to_numpy().ravel()))
        assert "stackbert" in text and "stackbert_p" not in text, name
    savings = read(folder, "savings").set_index("method")
    assert savings.loc["stackbert", "n"] == len(SEEDS) and savings.loc["stackbert", "base"] == "stackbert"


def test_the_loss_figure_draws_the_trunk_of_every_run_in_its_curve_s_color(folder: Path) -> None:
    for axes in shown(folder, "loss_vs_flops").axes:
        trunks = [line for line in axes.lines if line.get_linewidth() == 0.5]
        own = [line for line in trunks if line.get_color() == style("stackbert").color]
        assert len(own) == len(RUNS) * len(SEEDS)
        assert len(trunks) == len(own) + 2 * len(SEEDS)


def test_the_figures_of_plans_and_growths_show_its_largest_budget(folder: Path) -> None:
    (axes,) = shown(folder, "plans").axes
    texts = [text.get_text() for text in axes.texts]
    assert "stackbert" in texts and not any("stackbert_p" in text for text in texts)
    names = [label.get_text() for label in shown(folder, "loss_after_growth").axes[0].get_yticklabels()]
    assert len([name for name in names if name.startswith("stackbert")]) == 2, "it grows twice"
    for name in ("ablation", "savings", "savings_by_point", "scores"):
        assert shown(folder, name).axes is not None


def test_it_is_shown_under_its_own_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    assert cli.main(["show", "--config", "points.yaml"]) == 0
    rows = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.split()]
    assert rows.count("stackbert") == 1 and not any(row.startswith("stackbert_p") for row in rows)


def test_the_readme_knows_what_it_is(folder: Path) -> None:
    script = runpy.run_path(str(ROOT / "workflow/readme.py"))
    script["_bases"].__globals__["ROOT"] = folder
    assert script["_bases"]("points") == {
        "scratch": "scratch",
        "stackbert": "stackbert",
        "bert2bert_fpi": "bert2bert_fpi",
    }
