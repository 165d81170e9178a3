"""The interval over seeds x fine-tuning runs x examples in the tables, where records keep what single examples gave."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support import constructed, downstream
from support.aggregated import COSTS, causal, edit
from support.questions import words

from growbench.analysis.frames import resampled
from growbench.pipeline.aggregate import run as aggregate
from growbench.records import outcomes, predictions
from growbench.study.study import Study

ROWS = 100
COLUMNS = ["gap_multi_lo", "gap_multi_hi"]


def keep(path: Path, spread: float) -> None:
    """Give a record predictions of which as many are right as its scores say. spread: share of rows that it draws itself."""
    record = json.loads(path.read_text())
    draw, own = np.random.default_rng(0), np.random.default_rng(len(path.name))
    for run in record["runs"]:
        hard = np.where(own.random(ROWS) < spread, own.random(ROWS), draw.random(ROWS))
        right = np.zeros(ROWS, bool)
        right[np.argsort(hard)[: round(run["score"] * ROWS)]] = True
        run["score"] = run["metrics"]["accuracy"] = float(right.mean())
        run["predictions"] = predictions.pack(right, "class")
    edit(
        path, runs=record["runs"], labels={task: predictions.pack(np.ones(ROWS), "class") for task in constructed.TASKS}
    )


def scores(tables: Path) -> pd.DataFrame:
    return pd.read_csv(tables / "scores.csv").set_index(["method", "task"])


def test_records_with_predictions_have_a_second_interval(made: tuple[Study, Path]) -> None:
    """Seeds are equal in these records, so that the first interval has no width."""
    study, records = made
    for path in (records / "finetune").glob("*.json"):
        keep(path, spread=0.5)
    tables = aggregate.run(study)
    found = scores(tables)
    for task in (*constructed.TASKS, "average"):
        row = found.loc[("bert2bert_fpi", task)]
        assert row["gap_hi"] - row["gap_lo"] == pytest.approx(0)
        assert row["gap_multi_lo"] < row["gap"] < row["gap_multi_hi"]
    one, all_tasks = (np.subtract(*found.loc[("bert2bert_fpi", task), COLUMNS[::-1]]) for task in ("topic", "average"))
    assert all_tasks < one, "tasks are resampled on their own"
    assert (found.loc["scratch", COLUMNS] == 0).all(axis=None)
    text = (tables / "scores.md").read_text()
    assert "over seeds × runs × examples |" in text and "Rows are resampled" in text


def test_records_without_predictions_have_no_such_columns(made: tuple[Study, Path]) -> None:
    tables = aggregate.run(made[0])
    assert not {*COLUMNS} & {*scores(tables).columns}
    assert "examples" not in (tables / "scores.md").read_text()


def test_a_task_without_predictions_in_one_run_has_one_interval(made: tuple[Study, Path]) -> None:
    study, records = made
    for path in (records / "finetune").glob("*.json"):
        keep(path, spread=0.5)
    path = records / "finetune" / "stackbert-s1-p100.json"
    runs = json.loads(path.read_text())["runs"]
    del runs[0]["predictions"]
    edit(path, runs=runs)
    found = scores(aggregate.run(study))
    assert found.loc[[("stackbert", "acceptability"), ("stackbert", "average")], COLUMNS].isna().all(axis=None)
    assert found.loc[("stackbert", "topic"), COLUMNS].notna().all()
    assert found.loc[("direct_copy", "average"), COLUMNS].notna().all()


def test_under_grid_the_best_run_s_examples_are_resampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second LR has all rows of topic right, and none of the other tasks'."""
    monkeypatch.chdir(tmp_path)
    study = constructed.study(
        dict.fromkeys(COSTS), **{"finetune.protocol": "grid", "finetune.lr": [constructed.LR, 1e-3]}
    )
    records = constructed.write(tmp_path, study, COSTS)
    for path in (records / "finetune").glob("*.json"):
        keep(path, spread=0.5)
        runs = json.loads(path.read_text())["runs"]
        for run in list(runs):
            score = float(run["task"] == "topic")
            kept = predictions.pack(np.full(ROWS, score), "class")
            runs.append({**run, "lr": 1e-3, "score": score, "metrics": {"accuracy": score}, "predictions": kept})
        edit(path, runs=runs, protocol="grid")
    found = scores(aggregate.run(study)).loc["bert2bert_fpi"]
    assert (found.loc["topic", COLUMNS] == 0).all()
    row = found.loc["acceptability"]
    assert row["gap_multi_lo"] < row["gap"] < row["gap_multi_hi"]


def test_pairs_have_a_second_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = causal(["pairs"])
    records = constructed.write(tmp_path, study, COSTS)
    for place, method in enumerate(study.methods):
        for seed in study.seeds:
            values, right = constructed.zeroshot(study, method, seed, 3.0), np.arange(8) % (place + 2) > 0
            run = constructed.pairs(float(right.mean()))
            run["outcomes"] = {kind: outcomes.packed(right) for kind in run["outcomes"]}
            values["runs"] = [run]
            constructed.dump(records / "zeroshot" / f"{method}-s{seed}-p100.json", values)
    tables = aggregate.run(study)
    found = pd.read_csv(tables / "zeroshot.csv").set_index(["method", "metric"])
    row = found.loc[("stackbert", "accuracy")]
    assert row["gap_multi_lo"] < row["gap"] < row["gap_multi_hi"] and row["gap_lo"] == row["gap_hi"]
    assert found.loc[("stackbert", "swapped"), COLUMNS].isna().all()
    assert "seeds × pairs" in (tables / "zeroshot.md").read_text()


def test_a_real_fine_tuning_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    downstream.save(words(), "bert")
    place = tmp_path / "glue/MRPC"
    place.mkdir(parents=True)
    for file in ("train.tsv", "dev.tsv"):
        rows = [f"{i % 2}\t0\t0\t{'a b' if i % 3 else 'c d'}\te f" for i in range(24)]
        (place / file).write_text("\n".join(["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String", *rows]) + "\n")
    real = downstream.run(downstream.study(tmp_path, "MRPC", seeds=[0, 1], epochs=1, lr=constructed.LR))
    draws = resampled.of_finetuning([real])
    assert [np.mean(one) for one in draws if one is not None] == pytest.approx(
        [r["score"] for r in real["runs"]], abs=0.02
    )
    tasks = {"source": "local", "names": ["MRPC"]}
    study = constructed.study(dict.fromkeys(COSTS), tasks=tasks)
    records = constructed.write(tmp_path, study, COSTS)
    for path in (records / "finetune").glob("*.json"):
        edit(path, runs=real["runs"], labels=real["labels"], suite="GLUE")
    assert (scores(aggregate.run(study))[COLUMNS] == 0).all(axis=None)
