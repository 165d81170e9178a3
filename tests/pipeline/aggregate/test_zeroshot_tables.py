"""Zero-shot tables from constructed records."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support import constructed
from support.aggregated import COSTS, causal, edit

from growbench.analysis.statistics.intervals import mean_interval
from growbench.errors import GrowBenchError
from growbench.pipeline.aggregate import run as aggregate
from growbench.study.study import Study


def test_zero_shot_means_gaps_and_intervals_are_those_that_were_put_in(scored: tuple[Study, Path]) -> None:
    tables = aggregate.run(scored[0])
    table = pd.read_csv(tables / "zeroshot.csv").set_index(["method", "task", "metric"])
    found = table.loc[("bert2bert_fpi", "WikiText-2", "word_perplexity")]
    values = [math.exp(3 + 0.1 * seed) for seed in range(3)]
    gaps = [v - math.exp(4 + 0.1 * seed) for seed, v in enumerate(values)]
    assert found["mean"] == pytest.approx(sum(values) / 3) and found["n"] == 3 and found["main"]
    ends = mean_interval(np.array(values))
    assert (found["lo"], found["hi"]) == (pytest.approx(ends.lo), pytest.approx(ends.hi))
    assert found["gap"] == pytest.approx(sum(gaps) / 3)
    assert found["gap_lo"] == pytest.approx(mean_interval(np.array(gaps)).lo)
    assert found["flops_total"] - found["flops"] == pytest.approx(constructed.SOURCE_FLOPS)
    assert table.loc[("scratch", "LAMBADA", "accuracy"), "gap"] == 0
    runs = pd.read_csv(tables / "runs.csv")
    rows = runs[(runs["kind"] == "zeroshot") & runs["main"].eq(True)]
    assert len(rows) == 5 * 3 * 2 and set(rows["n"]) == {10, 8} and rows["subset"].all()
    text = (tables / "zeroshot.md").read_text()
    for word in ("WikiText-2* word perplexity", "LAMBADA* accuracy", "50.0 %", "n = 10 words in 2 lines", "at least 32",
                 "ignores case", "< unk >", "95 % t interval"):  # fmt: skip
        assert word in text


def test_a_zero_shot_run_without_a_value_is_counted_not_averaged(scored: tuple[Study, Path]) -> None:
    study, records = scored
    path = records / "zeroshot" / "stackbert-s1-p100.json"
    runs = json.loads(path.read_text())["runs"]
    runs[0] |= {"failed": True, "nats": None, "score": None, "metrics": dict.fromkeys(runs[0]["metrics"])}
    edit(path, runs=runs)
    tables = aggregate.run(study)
    found = pd.read_csv(tables / "zeroshot.csv").set_index(["method", "task", "metric"])
    row = found.loc[("stackbert", "WikiText-2", "word_perplexity")]
    assert row["n"] == 2 and row["failed"] == 1
    assert row["mean"] == pytest.approx((math.exp(3.5) + math.exp(3.7)) / 2)


def test_zero_shot_records_must_be_complete(scored: tuple[Study, Path]) -> None:
    study, records = scored
    path = records / "zeroshot" / "stackbert-s1-p100.json"
    whole = json.loads(path.read_text())
    edit(path, runs=whole["runs"][:1])
    with pytest.raises(GrowBenchError, match=r"stackbert-s1-p100\.json: test set LAMBADA is missing"):
        aggregate.run(study)
    path.unlink()
    with pytest.raises(GrowBenchError, match=r"zeroshot/stackbert-s1-p100\.json"):
        aggregate.run(study)


def test_zero_shot_tables_of_an_earlier_config_do_not_stay(scored: tuple[Study, Path]) -> None:
    study, _ = scored
    assert (aggregate.run(study) / "zeroshot.md").exists()
    assert not list(aggregate.run(causal([])).glob("zeroshot.*"))


def test_pairs_and_bytes_have_their_kinds_errors_and_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = causal(["pairs", "bytes/SST-2"])
    records = constructed.write(tmp_path, study, COSTS)
    for method in study.methods:
        for seed in study.seeds:
            values = constructed.zeroshot(study, method, seed, 3.0)
            values["runs"] = [constructed.pairs(0.5 + 0.1 * seed), constructed.bits(1.5 + 0.1 * seed)]
            constructed.dump(records / "zeroshot" / f"{method}-s{seed}-p100.json", values)
    tables = aggregate.run(study)
    table = pd.read_csv(tables / "zeroshot.csv").set_index(["method", "task", "metric"])
    found = table.loc[("stackbert", "pairs", "accuracy")]
    assert found["mean"] == pytest.approx(0.6) and found["error"] == pytest.approx(0.05) and found["n_pairs"] == 8
    assert pd.isna(table.loc[("stackbert", "pairs", "swapped"), "error"])
    assert table.loc[("stackbert", "bytes/SST-2", "bits_per_byte"), "mean"] == pytest.approx(1.6)
    text = (tables / "zeroshot.md").read_text()
    for word in ("pairs accuracy", "60.0 %", "bytes/SST-2 bits per byte", "1.600 [", "n = 8 pairs; 2 more", "standard error 5.00 %",
                 "n = 100 bytes in 4 texts", "Accuracy by kind, p100", "pairs: swapped", "PLL-word-l2r"):  # fmt: skip
        assert word in text
    assert "Word perplexity" not in text and "LAMBADA" not in text
    runs = pd.read_csv(tables / "runs.csv")
    assert set(runs.loc[(runs["kind"] == "zeroshot") & (runs["task"] == "pairs"), "n"]) == {8}


def test_scores_of_windows_without_what_begins_a_sequence_are_marked_as_withdrawn(scored: tuple[Study, Path]) -> None:
    study, records = scored
    assert "Withdrawn" not in (aggregate.run(study) / "zeroshot.md").read_text()
    for path in (records / "zeroshot").glob("*.json"):
        edit(path, window=json.loads(path.read_text())["window"] | {"context": 33})
    assert "**Withdrawn.**" in (aggregate.run(study) / "zeroshot.md").read_text()
