"""A ladder's tables against rungs whose savings, crossings and slopes are known by construction."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from growbench.analysis import stability
from growbench.analysis.figures import ladder as figures
from growbench.analysis.frames import by_point
from growbench.analysis.frames.accounting import ACCOUNTINGS
from growbench.analysis.ladder import claims, frames
from growbench.analysis.ladder.claims import Claim
from growbench.analysis.ladder.regression import fit
from growbench.analysis.ladder.rung import Rung, read
from growbench.errors import GrowBenchError
from growbench.pipeline.ladder import run as ladder
from growbench.records.layout import Layout

SHARES, SEEDS = (0.1, 0.25, 0.5, 1.0), (0, 1, 2)
BUDGET = 1e12
NOISE = {0: -0.01, 1: 0.0, 2: 0.01}  # of a seed, the same for all methods


def rung(study: str, cost: dict[str, float], target: float = 1e6, hidden: int = 64) -> Rung:
    """Return a rung in which every loss is 10 - 0.5 log(FLOPs / cost): a method of cost 0.8 saves 20 % at any loss.

    cost: of each method, as a factor; its first point with a source costs nothing extra.
    """
    rows = []
    for name, factor in cost.items():
        size = target / 4 if name in ("source", "source_longer") else target
        for seed in SEEDS:
            for share in SHARES:
                spent = BUDGET * share
                loss = 10 - 0.5 * np.log(spent / factor) + NOISE[seed]
                flops = {column: spent for column in ACCOUNTINGS.values() if column != "flops_amortised"}
                tokens = 20 * target * share * (target / size)
                rows.append({
                    "study": study, "family": "gpt2", "source": f"(4, {hidden // 2})", "target": f"(4, {hidden})", "method": name,
                    "seed": seed, "run": name, "point": f"p{round(100 * share)}", "fraction": share, "loss": loss, **flops,
                    "source_flops": 0.0, "tokens": tokens, "tpp": tokens / size, "commit": "c", "hardware": "h", "precision": "bf16",
                })  # fmt: skip
    points = pd.DataFrame(rows)
    names = [name for name in cost if name != "source"]
    bases = {name: name.split("__")[0] for name in names}
    savings = pd.DataFrame(
        [{"method": name, "base": bases[name], "n": len(SEEDS), "source_tpp": None} for name in names]
    )
    made = Rung(
        study=study,
        points=points,
        savings=savings,
        by_point=pd.DataFrame(),
        zeroshot=pd.DataFrame(),
    )
    return dataclasses.replace(made, by_point=by_point.build(made.measured, names))


A = {"scratch": 1.0, "placebo": 1.0, "direct_copy": 0.8, "bert2bert_fpi": 1.25}


def test_savings_of_all_rungs_stand_beside_what_the_rungs_are() -> None:
    table = frames.savings([rung("ladder-a", A), rung("ladder-b", A, target=4e6, hidden=128)])
    own = table[(table["method"] == "direct_copy") & (table["accounting"] == "total")]
    read = own[own["status"] == "reached"]
    assert len(read) == 2 * (len(SHARES) - 1) and read["saving"].to_numpy() == pytest.approx(0.2)
    assert set(own["target_parameters"].round()) == {1e6, 4e6} and set(own["rung"]) == {"ladder-a", "ladder-b"}
    placebo = table[(table["method"] == "placebo") & (table["accounting"] == "total")]
    assert placebo["saving"].abs().max() < 1e-9


def test_a_profile_counts_the_cells_that_save_enough() -> None:
    table = frames.profiles([rung("ladder-a", A), rung("ladder-b", {"scratch": 1.0, "direct_copy": 0.96})])
    own = table[(table["method"] == "direct_copy") & (table["accounting"] == "total")].set_index("saving")
    readable = len(SHARES) - 1  # below scratch's first point there is only a bound
    assert own["cells"].unique() == [2 * len(SEEDS) * readable]
    assert own["share"].to_dict() == {0.0: 1, 0.02: 1, 0.05: 0.5, 0.1: 0.5, 0.2: 0.5, 0.3: 0}
    worse = table[(table["method"] == "bert2bert_fpi") & (table["accounting"] == "total")].set_index("saving")["share"]
    assert worse[0.0] == 0


def test_the_slope_over_size_is_that_of_the_savings() -> None:
    sizes = {"ladder-a": (1e6, 64, 0.9), "ladder-b": (4e6, 128, 0.8), "ladder-c": (16e6, 192, 0.7)}
    rungs = [
        rung(name, {"scratch": 1.0, "direct_copy": cost}, target, hidden)
        for name, (target, hidden, cost) in sizes.items()
    ]
    row = frames.sizes(rungs).query("method == 'direct_copy' and accounting == 'total'").iloc[0]
    assert (
        row["slope"] == pytest.approx(0.1 / np.log(4))
        and row["lo"] == pytest.approx(row["slope"])
        and row["rungs"].count(" ") == 2
    )
    assert frames.sizes(rungs[:1]).empty
    again = rung("ladder-s", {"scratch": 1.0, "direct_copy": 0.5}, 1e6 + 1e-6)
    assert frames.sizes([rungs[0], again]).empty, "one size has no slope"
    assert frames.sizes([*rungs, again])["rungs"].unique() == "ladder-a ladder-b ladder-c"
    deep = dataclasses.replace(rungs[1], points=rungs[1].points.assign(source="(2, 64)"))
    assert frames.sizes([rungs[0], deep]).empty, "a rung of another depth is not compared"


def test_a_line_and_its_band_are_those_of_a_textbook() -> None:
    x, y = np.array([0.0, 1.0, 2.0, 3.0, 5.0]), np.array([1.0, 2.2, 2.9, 4.1, 5.8])
    line, known = fit(x, y), stats.linregress(x, y)
    half = stats.t.ppf(0.975, 3) * known.stderr
    assert line.slope == pytest.approx(known.slope) and line.intercept == pytest.approx(known.intercept)
    assert (line.interval.lo, line.interval.hi) == pytest.approx((known.slope - half, known.slope + half))
    band = line.band(np.array([line.center]))
    rest = np.sum((y - line.at(x)) ** 2) / 3
    assert band is not None and band[1] - band[0] == pytest.approx(2 * stats.t.ppf(0.975, 3) * np.sqrt(rest * 1.2))
    assert fit(x[:2], y[:2]).interval.lo is None and fit(x[:2], y[:2]).band(x) is None


def test_the_crossing_lies_where_two_curves_meet() -> None:
    """The small model is 0.3 nats ahead at a tenth of the budget and loses 0.2 nats per factor of e, so it is level at e^1.5 of that."""
    made = rung("ladder-a", {"scratch": 1.0, "source_longer": 1.0})
    small = made.points["method"] == "source_longer"
    behind = -0.3 + 0.2 * np.log(made.points["flops"] / (0.1 * BUDGET))
    made = dataclasses.replace(made, points=made.points.assign(loss=made.points["loss"] + behind.where(small, 0.0)))
    row = frames.crossings([made]).iloc[0]
    assert row["tpp"] == pytest.approx(2 * np.exp(1.5), rel=1e-6) and row["n"] == len(SEEDS)
    assert row["lowest"] == pytest.approx(row["highest"]) and row["predicted"] == pytest.approx(5)
    assert row["ratio"] == pytest.approx(row["tpp"] / 5)
    never = rung("ladder-a", {"scratch": 1.0, "source_longer": 0.5})
    assert np.isnan(frames.crossings([never]).iloc[0]["tpp"]) and frames.crossings([rung("x", A)]).empty


@pytest.mark.parametrize(
    ("low", "high", "value", "interval", "verdict"),
    [
        (0.05, np.inf, 0.08, (0.06, 0.10), "holds"),
        (0.05, np.inf, 0.08, (0.04, 0.12), "undecided"),
        (0.05, np.inf, 0.02, (0.00, 0.04), "fails"),
        (-0.05, 0.05, 0.0, (-0.04, 0.04), "holds"),
        (-0.05, 0.05, 0.10, (0.06, 0.14), "fails"),
        (-0.05, 0.05, 0.04, (0.01, 0.07), "undecided"),
        (0.7, 1.3, 1.2, (None, None), "holds"),
        (0.7, 1.3, 1.4, (None, None), "fails"),
        (0.7, 1.3, None, (None, None), "not measured"),
    ],
)
def test_a_prediction_holds_only_with_all_of_its_interval(
    low: float, high: float, value: float | None, interval: tuple[float | None, float | None], verdict: str
) -> None:
    lo, hi = interval
    assert Claim(name="H", about="", low=low, high=high, value=value, lo=lo, hi=hi).verdict == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.05, np.inf, "undecided"), (-0.1, np.inf, "holds"), (-np.inf, 0.0, "fails")]
)
def test_a_lower_bound_leaves_open_what_lies_above_it(low: float, high: float, verdict: str) -> None:
    assert Claim(name="H", about="", low=low, high=high, value=0.0, lo=0.0, bound=True).verdict == verdict


def test_the_predictions_read_the_rungs_that_they_are_about() -> None:
    made = rung("ladder-a", {**A, "source_longer": 1.1, "lemon": 0.9})
    table = claims.build({"ladder-a": made}).set_index("claim")
    assert table.loc["H1a", "value"] == pytest.approx(0.2) and table.loc["H1a", "verdict"] == "holds"
    assert table.loc["H1b", "verdict"] == "fails", "it saves 20 %, and was predicted within 5 % of 0"
    gap = 0.5 * np.log(1.25 / 1.1)
    assert table.loc["H2", "value"] == pytest.approx(gap) and table.loc["H2", "verdict"] == "holds"
    fpi, lemon, copy = (0.5 * np.log(cost) for cost in (1.25, 0.9, 0.8))
    assert (
        table.loc["H5a", "value"] == pytest.approx((fpi - lemon) - 0.5 * (fpi - copy))
        and table.loc["H5a", "verdict"] == "holds"
    )
    assert set(table.loc[["H3b", "H4", "H5b"], "verdict"]) == {"not measured"}


def test_a_run_that_ends_far_above_its_other_seeds_is_named() -> None:
    made = rung("ladder-a", A)
    assert stability.unstable(made.measured) == {} and not stability.sentence(made.measured)
    lost = (made.points["method"] == "scratch") & (made.points["seed"] == 2)
    points = made.points.assign(loss=made.points["loss"] + 0.4 * lost)
    found = dataclasses.replace(made, points=points).measured
    assert stability.unstable(found) == {"scratch-s2": pytest.approx(0.41)}
    assert stability.sentence(found).endswith("scratch-s2 by 0.41. Savings against scratch are too high because of it.")
    other = made.points.assign(loss=made.points["loss"] + 0.4 * (made.points["method"] == "direct_copy"))
    assert not stability.unstable(dataclasses.replace(made, points=other).measured), "a bad method is not unstable"


def written(made: Rung) -> None:
    folder = Layout(made.study).tables
    folder.mkdir(parents=True)
    columns = {
        f"saving_{of}{end}": None
        for of in ("total", "frontier")
        for end in ("", "_lo", "_hi", "_multi_lo", "_multi_hi")
    }
    trained = {"direct_copy": 20.0, "bert2bert_fpi": 10.0}
    savings = made.savings.assign(
        **columns, status_total="baseline", tpp=20.0, final_loss=4.0, source_tpp=made.savings["method"].map(trained)
    )
    frames_of = {
        "points": made.points,
        "savings": savings,
        "savings_by_point": made.by_point,
    }
    for name, frame in frames_of.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    pd.DataFrame(scores(made)).to_csv(folder / "zeroshot.csv", index=False)


def scores(made: Rung, context: int = 64) -> list[dict[str, object]]:
    """Rows of a table of zero-shot scores, in windows of 128 tokens that score 64."""
    windows = {"length": 128, "stride": 64, "context": context}
    own = {"task": "pairs", "main": True, "flops_total": 1e12, "mean": 0.7, "lo": 0.6, "hi": 0.8}
    return [{"method": name, **own, **windows} for name in made.bases]


def test_scores_that_were_read_without_what_begins_a_sequence_are_not_drawn() -> None:
    made = rung("ladder-a", A)
    read_right, misread = (dataclasses.replace(made, zeroshot=pd.DataFrame(scores(made, n))) for n in (64, 65))
    figure = figures.pairs_vs_flops([misread, read_right])
    assert figure is not None and len(figure.axes) == 1
    assert figures.pairs_vs_flops([misread]) is None


def test_a_long_legend_does_not_cover_the_panels() -> None:
    many = {"scratch": 1.0, **{f"direct_copy__{i}": 0.8 for i in range(40)}}
    made = rung("ladder-a", many)
    for figure in (
        figures.loss_vs_flops([made]),
        figures.pairs_vs_flops([dataclasses.replace(made, zeroshot=pd.DataFrame(scores(made)))]),
    ):
        assert figure is not None
        (panel,), (legend,) = figure.axes, figure.legends
        assert legend.get_window_extent().y0 > panel.get_tightbbox().y1


def test_methods_that_differ_in_their_source_share_one_panel_of_the_figure_of_savings() -> None:
    made = rung("ladder-s", {"scratch": 1.0, "direct_copy__5": 0.9, "direct_copy__20": 0.8})
    trained = made.savings.assign(source_tpp=[None, 5.0, 20.0])
    for of, saving in (("total", [0.0, 0.1, 0.2]), ("frontier", [0.0, 0.1, 0.2])):
        trained = trained.assign(**{f"saving_{of}": saving, f"saving_{of}_lo": saving, f"saving_{of}_hi": saving})
    trained["final_loss"] = 4.0
    varied = dataclasses.replace(made, savings=trained)
    panels = figures.savings([rung("ladder-a", A), varied]).axes
    assert [axes.get_title() or axes.get_title(loc="left") for axes in panels] == [
        "direct_copy", "bert2bert_fpi", "by the source's training",
    ]  # fmt: skip
    (line,) = (line for line in panels[-1].lines if len(line.get_xdata()) == 2 and line.get_marker() != "None")
    assert list(line.get_xdata()) == [5.0, 20.0]
    assert line.get_ydata() == pytest.approx(-np.log1p([-0.1, -0.2]))


def test_a_panel_over_size_needs_two_sizes() -> None:
    two = figures.savings([rung("ladder-a", A), rung("ladder-b", A, target=4e6, hidden=128)]).axes
    one = figures.savings([rung("ladder-a", A), rung("ladder-x", A)]).axes
    assert [len(two), len(one)] == [3, 2]


def test_tables_and_figures_are_made_from_what_is_there_and_the_same_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GrowBenchError, match="none of the ladder's studies has tables yet"):
        ladder.run("ladder", ["ladder-a", "ladder-b"])
    made_rung = rung("ladder-a", {**A, "source_longer": 1.1})
    written(made_rung)
    folder = ladder.run("ladder", ["ladder-a", "ladder-b"])
    page = (folder / "ladder.md").read_text()
    assert "Not run yet: ladder-b." in page and "| direct_copy | ≥ 0.0 [0.0, open] | 20.0 [20.0, 20.0] |" in page
    assert "Against the source's training" in page
    made = sorted((tmp_path / "figures/ladder").iterdir())
    assert [path.name for path in made] == [
        f"{name}.{kind}" for name in ("loss_vs_flops", "pairs_vs_flops", "savings") for kind in ("pdf", "png")
    ]
    before = {path: path.read_bytes() for path in (*folder.iterdir(), *made) if path.is_file()}
    ladder.run("ladder", ["ladder-a", "ladder-b"])
    assert before == {path: path.read_bytes() for path in (*folder.iterdir(), *made) if path.is_file()}
    none = made_rung.by_point.assign(saving=None, status="not reached")
    none.to_csv(Layout("ladder-a").tables / "savings_by_point.csv", index=False)
    ladder.run("ladder", ["ladder-a"])  # nothing to draw is said, not raised
    (Layout("ladder-a").tables / "points.csv").unlink()
    with pytest.raises(
        GrowBenchError, match=r"points\.csv: no such table; run `growbench aggregate` for study ladder-a first"
    ):
        read("ladder-a", Layout("ladder-a").tables)
