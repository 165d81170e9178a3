"""Which fine-tuning runs count, what they cost, and what stands beside them; on records with known answers."""

from typing import Any

import pandas as pd
import pytest

from growbench.analysis.frames import score_savings, scores

FLOPS = {"p0": 0.0, "p100": 1e12}


def run(task: str, seed: int, lr: float, score: float, held_out: float, **values: Any) -> dict[str, Any]:
    about = {"n_train": 90, "n_dev": 10, "subset": False, "majority": 0.5, "failed": False, "main_metric": "accuracy"}
    own = {"task": task, "seed": seed, "lr": lr, "score": score, "held_out": held_out, "flops": 1e10}
    return {**about, **own, "metrics": {"accuracy": score}, **values}


def record(method: str, point: str, runs: list[dict[str, Any]], protocol: str = "held_out") -> dict[str, Any]:
    about = {"study": "made", "suite": "GLUE", "protocol": protocol, "method": method, "seed": 0, "point": point}
    return {**about, "runs": runs}


def points(*methods: str) -> pd.DataFrame:
    rows = [
        {
            "study": "made", "protocol": "trunk", "method": method, "seed": 0, "point": point, "source_flops": 0.0,
            "fraction": float(point == "p100"), **dict.fromkeys(("flops", "flops_total", "flops_electra"), flops),
            "flops_total_electra": flops, "wall_seconds": flops,
        }
        for method in methods for point, flops in FLOPS.items()
    ]  # fmt: skip
    return pd.DataFrame(rows)


def tried(best_on_dev: float) -> list[dict[str, Any]]:
    """Two LRs and two seeds: the first LR is better on held-out rows, the second on dev."""
    return [
        run("MRPC", 0, 1e-5, 0.70, 0.9),
        run("MRPC", 1, 1e-5, 0.40, 0.8),
        run("MRPC", 0, 1e-4, best_on_dev, 0.6),
        run("MRPC", 1, 1e-4, best_on_dev, 0.7),
    ]


def frame(*records: dict[str, Any], counted: bool = False) -> pd.DataFrame:
    methods = list(dict.fromkeys(one["method"] for one in records))
    table = scores.build(list(records), points(*methods), methods, counted)
    return table.set_index(["method", "point", "task"])


def test_the_lr_that_is_best_on_held_out_rows_counts_whatever_dev_says() -> None:
    row = frame(record("scratch", "p100", tried(0.99))).loc[("scratch", "p100", "MRPC")]
    assert row["mean"] == pytest.approx(0.55) and row["n"] == 2 and row["tried"] == 2
    assert row["range"] == pytest.approx(0.3) and (row["below"], row["failed"]) == (1, 0)


def test_a_run_without_a_score_on_held_out_rows_chooses_nothing() -> None:
    runs = tried(0.99)
    runs[0]["held_out"] = None
    row = frame(record("scratch", "p100", runs)).loc[("scratch", "p100", "MRPC")]
    assert row["mean"] == pytest.approx(0.99)


def test_fine_tuning_is_counted_with_all_that_was_tried_or_not_at_all() -> None:
    made = [record("scratch", "p100", tried(0.5)), record("scratch", "p0", tried(0.5))]
    assert frame(*made).loc[("scratch", "p100", "MRPC"), "flops"] == 1e12
    counted = frame(*made, counted=True)
    assert counted.loc[("scratch", "p100", "MRPC"), "flops"] == 1e12 + 2e10
    assert counted.loc[("scratch", "p0", "MRPC"), "flops_total"] == 2e10
    runs = scores.chosen(scores.runs(made))
    saved = {of: score_savings.build(points("scratch"), runs, ["scratch"], of).iloc[0] for of in (False, True)}
    assert saved[False]["points"] == saved[True]["points"] == 1


def test_scratch_right_after_its_start_is_the_floor_of_random_weights() -> None:
    words = {"floors": {"bag_of_words": 0.66}}
    made = [
        record("scratch", "p0", [run("MRPC", 0, 1e-5, 0.6, 0.5, **words)], "single"),
        record("stack", "p0", [run("MRPC", 0, 1e-5, 0.8, 0.5)], "single"),
        record("stack", "p100", [run("MRPC", 0, 1e-5, 0.8, 0.5)], "single"),
    ]
    table = frame(*made)
    assert list(table["random_model"]) == pytest.approx([0.6] * 6)
    assert table.loc[("scratch", "p0", "MRPC"), "bag_of_words"] == pytest.approx(0.66)


def test_a_grid_counts_what_all_its_runs_cost() -> None:
    row = frame(record("scratch", "p100", tried(0.99), "grid")).loc[("scratch", "p100", "MRPC")]
    assert row["mean"] == 0.99 and row["finetune_flops"] == 4e10 and row["below"] == 1
