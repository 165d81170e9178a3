"""Tables of savings from records with losses by document, runs of one budget each, and searches."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support import constructed
from support.aggregated import COSTS, edit, row

from growbench.errors import GrowBenchError
from growbench.pipeline.aggregate import run as aggregate
from growbench.records import documents
from growbench.study.study import Study

DOCUMENTS = 40


def with_documents(records: Path) -> list[Path]:
    """Give every run of these records its losses by document: those of its points, and effects of its method alone."""
    paths = sorted((records / "pretrain").glob("*.json"))
    for path in paths:
        values = json.loads(path.read_text())
        effects = np.random.default_rng(len(values["method"])).normal(0, 0.1, DOCUMENTS)
        nats = {p["point"]: list(100 * (p["loss"] + effects - effects.mean())) for p in values["points"]}
        sha256 = documents.write(path.with_suffix(".documents.csv"), range(DOCUMENTS), [100] * DOCUMENTS, nats)
        edit(path, documents=sha256)
    return paths


def test_documents_widen_what_equal_seeds_cannot(made: tuple[Study, Path]) -> None:
    study, records = made
    plain = row(aggregate.run(study), "bert2bert_fpi")
    assert pd.isna(plain["saving_total_multi_lo"]) and plain["saving_total_lo"] == pytest.approx(0.4)
    with_documents(records)
    found = row(aggregate.run(study), "bert2bert_fpi")
    assert found["saving_total_lo"] == pytest.approx(0.4, abs=1e-4)
    assert found["saving_total_multi_lo"] < 0.39 < 0.41 < found["saving_total_multi_hi"]
    assert 0 < found["detectable_total"] < 1 and 0 <= found["p_total"] <= found["p_holm_total"]


def test_runs_of_other_documents_are_not_compared(made: tuple[Study, Path]) -> None:
    study, records = made
    path = with_documents(records)[0]
    losses = documents.read(path.with_suffix(".documents.csv"), json.loads(path.read_text())["documents"])
    nats = {name: list(values) for name, values in zip(losses.points, losses.nats, strict=True)}
    others = path.with_suffix(".documents.csv"), [number + 1 for number in losses.numbers]
    edit(path, documents=documents.write(*others, list(losses.tokens), nats))
    with pytest.raises(GrowBenchError, match=r"its documents are not those of .* \(numbers differ\)"):
        aggregate.run(study)


def test_documents_must_add_up_to_the_losses_of_their_record(made: tuple[Study, Path]) -> None:
    study, records = made
    path = with_documents(records)[0]
    values = json.loads(path.read_text())
    values["points"][0]["loss"] += 0.01
    edit(path, points=values["points"])
    with pytest.raises(GrowBenchError, match=r"documents\.csv: its losses are not those of the finished points"):
        aggregate.run(study)


def test_runs_of_one_budget_each_are_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = constructed.study({"scratch": None, "stackbert": None}, **{"budget.per_point": True})
    parts = [name for name in study.methods if name != "scratch"]
    assert len(parts) > 1 and {study.curve_of(name) for name in parts} == {"stackbert"}
    constructed.write(tmp_path, study, dict.fromkeys(parts, 0.8))
    tables = aggregate.run(study)
    savings = pd.read_csv(tables / "savings.csv")
    assert list(savings["method"]) == ["scratch", "stackbert"]
    assert row(tables, "stackbert")["saving_total"] == pytest.approx(0.2)
    points = pd.read_csv(tables / "savings_by_point.csv")
    assert points.loc[points["method"] == "stackbert", "point"].nunique() == len(parts)
    assert set(pd.read_csv(tables / "points.csv")["run"]) == {"scratch", *parts}
    assert set(pd.read_csv(tables / "scores.csv")["method"]) == {"scratch", "stackbert"}


def test_new_tables_have_every_method_and_pair(made: tuple[Study, Path]) -> None:
    tables = aggregate.run(made[0])
    pairs = pd.read_csv(tables / "differences.csv")
    assert len(pairs) == len(COSTS) * (len(COSTS) - 1) // 2
    points = pd.read_csv(tables / "savings_by_point.csv")
    assert set(points["method"]) == set(COSTS) and set(points["accounting"]) == {"target_only", "total", "frontier"}
    at_end = points[(points["point"] == "p100") & (points["accounting"] == "target_only")].set_index("method")
    assert at_end.loc["bert2bert_fpi", "saving"] == pytest.approx(row(tables, "bert2bert_fpi")["saving_target_only"])
