"""The savings frames from constructed points: what is put in comes out, in every accounting, against every baseline."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from growbench.analysis.frames import by_point, differences, savings
from growbench.analysis.frames.measured import Measured
from growbench.errors import GrowBenchError
from growbench.records.documents import Documents
from growbench.spec import SOURCE

FRACTIONS = (0.1, 0.25, 0.5, 1.0)
FLOPS, SEEDS = 1e14, (0, 1, 2)
PARAMETERS, TOKENS = 1e6, 2e7  # of scratch at its end: 20 tokens per parameter


def loss_at(flops: float, cost: float) -> float:
    return 10 - 0.25 * math.log(flops / cost)


def rows(method: str, cost: float, source: float = 0.0, shifts: tuple[float, ...] = (0.0,) * 3, **changes: object):
    """The points of a method that needs `cost` times scratch's FLOPs for the same loss; source: FLOPs of its source."""
    return [
        {
            "study": "made", "protocol": "trunk", "method": method, "run": method, "seed": seed, "family": "gpt2",
            "point": f"p{round(100 * f)}", "fraction": f, "loss": loss_at(f * FLOPS, cost) + shifts[seed],
            "flops": f * FLOPS, "flops_total": f * FLOPS + source, "flops_electra": f * FLOPS,
            "flops_total_electra": f * FLOPS + source, "wall_seconds": f, "steps": int(100 * f), "tokens": TOKENS * f,
            "tpp": TOKENS * f / PARAMETERS, "source_tpp": 20.0 if source else None, "source_flops": source,
            "loss_after_growth": 5.0, **changes,
        }
        for seed in SEEDS for f in FRACTIONS
    ]  # fmt: skip


def measured(
    *methods: list, bases: Mapping[str, str] | None = None, losses: Mapping[tuple[str, int], Documents] | None = None
) -> Measured:
    points = pd.DataFrame([row for method in methods for row in method])
    return Measured(points, pd.DataFrame(), "trunk", bases or {}, losses or {})


def table(made: Measured, *names: str, gains: Mapping[str, float] | None = None) -> pd.DataFrame:
    return savings.build(made, ["scratch", *names], gains or {}).set_index("method")


def test_the_frontier_is_the_lower_envelope_of_the_models_from_scratch() -> None:
    """The small model needs half of scratch's FLOPs: against it, a method that saves 60 % saves 20 %. Without it, scratch is the
    frontier; a control that grows nothing of its own horizon is not one of its models."""
    method, small, placebo = rows("msg", 0.4), rows("source_longer", 0.5), rows("placebo", 0.3)
    found = table(measured(rows("scratch", 1.0), method, small, placebo), "msg", "source_longer", "placebo")
    assert found.loc["msg", "saving_total"] == pytest.approx(0.6)
    assert found.loc["msg", "saving_frontier"] == pytest.approx(0.2)
    assert found.loc["scratch", "saving_frontier"] == pytest.approx(-1.0) and found.loc["scratch", "saving_total"] == 0
    assert found.loc["source_longer", "saving_frontier"] == 0
    alone = table(measured(rows("scratch", 1.0), method), "msg")
    assert alone.loc["msg", "saving_frontier"] == pytest.approx(0.6)


def test_the_source_and_variants_are_models_from_scratch() -> None:
    tiny, source = rows("tiny", 0.7), rows(SOURCE, 0.5)
    found = table(measured(rows("scratch", 1.0), rows("msg", 0.4), tiny, bases={"tiny": "scratch"}), "msg", "tiny")
    assert found.loc["msg", "saving_frontier"] == pytest.approx(1 - 0.4 / 0.7)
    found = table(measured(rows("scratch", 1.0), rows("msg", 0.4), source), "msg")
    assert found.loc["msg", "saving_frontier"] == pytest.approx(0.2)


def test_a_source_is_counted_in_total_alone() -> None:
    found = table(measured(rows("scratch", 1.0), rows("msg", 0.5, source=1e13)), "msg").loc["msg"]
    assert found["saving_target_only"] == pytest.approx(0.5) and found["saving_total"] == pytest.approx(0.4)
    assert found["source_reuses"] == 1 and (found["tpp"], found["source_tpp"]) == (20.0, 20.0)


def test_better_tuning_of_scratch_lowers_the_saving() -> None:
    """0.25 log 2 nats are a factor 2 of FLOPs: scratch would reach its old loss with half of them."""
    made = measured(rows("scratch", 1.0), rows("msg", 0.25))
    found = table(made, "msg", gains={"lr": 0.25 * math.log(2)})
    assert found.loc["msg", "saving_total"] == pytest.approx(0.75)
    assert found.loc["msg", "saving_total_better_lr"] == pytest.approx(0.5)
    assert found.loc["scratch", "saving_total_better_lr"] == pytest.approx(-1.0)
    assert pd.isna(found.loc["msg", "saving_total_better_warmup"]), "the warm-up was not searched"


def test_a_fit_of_the_law_is_the_law() -> None:
    found = table(measured(rows("scratch", 1.0), rows("msg", 0.4)), "msg").loc["msg"]
    for name in savings.FITTED:
        assert found[f"saving_{name}_fit"] == pytest.approx(found[f"saving_{name}"], abs=1e-6)


def test_p_values_are_corrected_for_the_growing_methods() -> None:
    shifts = (0.01, 0.0, -0.02)
    made = measured(
        rows("scratch", 1.0),
        rows("msg", 0.5, shifts=shifts),
        rows("lemon", 0.9, shifts=shifts),
        rows("source_longer", 1.0),
    )
    found = table(made, "msg", "lemon", "source_longer")
    low, high = found.loc["msg", "p_total"], found.loc["lemon", "p_total"]
    assert low < high and found.loc["msg", "p_holm_total"] == pytest.approx(2 * low)
    assert found.loc["lemon", "p_holm_total"] == pytest.approx(max(high, 2 * low))
    assert pd.isna(found.loc["scratch", "p_holm_total"])


def test_the_best_methods_are_those_that_cannot_be_told_apart() -> None:
    shifts = (0.01, 0.0, -0.02)
    made = measured(
        rows("scratch", 1.0), rows("msg", 0.5, shifts=shifts), rows("lemon", 0.51, shifts=shifts[::-1]), rows("ki", 0.9)
    )
    found = table(made, "msg", "lemon", "ki")["best"]
    assert list(found) == [None, True, True, False]


def test_every_point_has_its_saving_and_its_tokens_per_parameter() -> None:
    made = measured(rows("scratch", 1.0), rows("msg", 0.5, source=2e13))
    found = by_point.build(made, ["scratch", "msg"])
    total = found[(found["method"] == "msg") & (found["accounting"] == "total")].set_index("point")
    assert list(total.index) == ["p10", "p25", "p50"], "its last point lies beyond scratch's end"
    assert list(total["tpp"]) == pytest.approx([20 * (f + 0.2) for f in (0.1, 0.25, 0.5)])
    assert list(total["run_tpp"]) == pytest.approx([20 * f for f in (0.1, 0.25, 0.5)])
    free = found[(found["method"] == "msg") & (found["accounting"] == "target_only")].set_index("point")
    assert free.loc["p50", "saving"] == pytest.approx(0.5) and free.loc["p100", "saving"] == pytest.approx(0.5)
    assert (free["n"] == 3).all() and free.loc["p10", "status"] == "at first point"
    assert set(found.loc[found["method"] == "scratch", "accounting"]) == {"frontier"}


def test_runs_of_one_budget_each_are_one_curve() -> None:
    """Four runs whose growth is a share of their budget, each finished once, are read as the curve of their method."""
    parts = [[{**row, "run": f"stackbert_{row['point']}"} for row in rows("stackbert", 0.5)]]
    losses = {
        (f"{run}_p{round(100 * f)}" if run == "stackbert" else run, seed): documents(
            [f] if run == "stackbert" else FRACTIONS, cost
        )
        for run, cost in (("stackbert", 0.5), ("scratch", 1.0)) for seed in SEEDS for f in FRACTIONS
    }  # fmt: skip
    found = table(measured(rows("scratch", 1.0), *parts, losses=losses), "stackbert").loc["stackbert"]
    assert found["saving_total"] == pytest.approx(0.5) and found["saving_total_multi_lo"] < 0.5


def documents(fractions: list[float] | tuple[float, ...], cost: float) -> Documents:
    """The losses of 50 documents on the law, with the effects that are those of this cost."""
    effects = np.random.default_rng(int(100 * cost)).normal(0, 0.05, 50)
    law = np.array([loss_at(f * FLOPS, cost) for f in fractions])
    nats = 100 * (law[:, None] + effects - effects.mean())
    return Documents(
        numbers=np.arange(50), tokens=np.full(50, 100), nats=nats, points=tuple(f"p{round(100 * f)}" for f in fractions)
    )


def test_methods_are_compared_with_one_another() -> None:
    made = measured(rows("scratch", 1.0), rows("msg", 0.5), rows("lemon", 0.6))
    found = differences.build(made, ["scratch", "msg", "lemon"]).set_index(["method", "other"])
    assert list(found.index) == [("scratch", "msg"), ("scratch", "lemon"), ("msg", "lemon")]
    assert found.loc[("msg", "lemon"), "saving"] == pytest.approx(1 - 0.5 / 0.6)
    assert found.loc[("msg", "lemon"), "loss_gap"] == pytest.approx(0.25 * math.log(0.5 / 0.6))
    assert not found.loc[("msg", "lemon"), "level"]


def test_seeds_with_other_points_are_refused() -> None:
    method = rows("msg", 0.5)[:-1]
    with pytest.raises(GrowBenchError, match="msg: its seeds do not have the same points"):
        table(measured(rows("scratch", 1.0), method), "msg")


def test_a_loss_that_is_not_finite_is_refused() -> None:
    with pytest.raises(GrowBenchError, match="not finite"):
        table(measured(rows("scratch", 1.0), rows("msg", 0.5, loss=math.inf)), "msg")


def test_without_scratch_there_is_no_saving() -> None:
    with pytest.raises(GrowBenchError, match=r"methods\.scratch: missing"):
        measured(rows("msg", 0.5))
