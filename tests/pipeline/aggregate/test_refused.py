"""Records that do not fit the study, its config or one another."""

import json
import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support import constructed
from support.aggregated import edit

from growbench.analysis import outputs
from growbench.errors import GrowBenchError
from growbench.pipeline.aggregate import run as aggregate
from growbench.study.study import Study


def test_records_of_other_methods_and_seeds_are_not_read(made: tuple[Study, Path]) -> None:
    study, records = made
    (records / "pretrain" / "old_method-s0.json").write_text("{ not JSON")
    (records / "pretrain" / "scratch-s9.json").write_text("{ not JSON")
    aggregate.run(study)


@pytest.mark.parametrize("name", ["pretrain/stackbert-s1.json", "pretrain/source-s2.json", "pretrain/scratch-s0.csv",
                                  "finetune/scratch-s0-p100.json"])  # fmt: skip
def test_a_missing_file_is_named(made: tuple[Study, Path], name: str) -> None:
    study, records = made
    (records / name).unlink()
    with pytest.raises(GrowBenchError, match=name):
        aggregate.run(study)


def test_records_of_two_configs_are_refused(made: tuple[Study, Path]) -> None:
    study, records = made
    edit(records / "pretrain" / "stackbert-s1.json", config_hash="decaf0123456")
    with pytest.raises(GrowBenchError, match=r"stackbert-s1\.json: config_hash is decaf0123456, but this config's is"):
        aggregate.run(study)


@pytest.mark.parametrize(("key", "value"), [("version", 1), ("seed", 5), ("method", "other"), ("kind", "finetune")])
def test_a_record_that_is_not_what_its_name_says_is_refused(made: tuple[Study, Path], key: str, value: Any) -> None:
    study, records = made
    edit(records / "pretrain" / "stackbert-s1.json", **{key: value})
    with pytest.raises(GrowBenchError, match=rf"stackbert-s1\.json: {key} is"):
        aggregate.run(study)


def test_a_fine_tuning_record_without_a_task_is_refused(made: tuple[Study, Path]) -> None:
    study, records = made
    path = records / "finetune" / "stackbert-s1-p100.json"
    edit(path, runs=json.loads(path.read_text())["runs"][:-1])
    with pytest.raises(GrowBenchError, match=r"task similarity with seed 1 is missing at LR 0\.0005"):
        aggregate.run(study)


def test_options_that_are_not_the_study_s_are_refused(made: tuple[Study, Path]) -> None:
    """The config was changed after the run: what it would print beside the results did not make them."""
    study, _ = made
    study.methods["bert2bert_fpi"] = {"map": "random"}
    with pytest.raises(GrowBenchError, match=r"bert2bert_fpi-s0\.json: the method's options \(map: .*\) changed"):
        aggregate.run(study)


def test_a_plan_that_is_not_the_study_s_is_refused(made: tuple[Study, Path]) -> None:
    study, records = made
    path = records / "pretrain" / "stackbert-s2.json"
    plan = json.loads(path.read_text())["plan"]
    edit(path, plan=[{**plan[0], "until": 0.11}, *plan[1:]])
    with pytest.raises(
        GrowBenchError, match=r"s2\.json: plan: stage 0: until is 0\.11, but .* in this study; run its job"
    ):
        aggregate.run(study)
    edit(path, plan=[plan[-1]])
    with pytest.raises(GrowBenchError, match=r"stackbert-s2\.json: plan: stage 0: spec is"):
        aggregate.run(study)
    edit(path, plan=[*plan, plan[-1]])
    with pytest.raises(GrowBenchError, match=r"stackbert-s2\.json: its plan has \d stages, but \d in this study"):
        aggregate.run(study)


def test_a_point_that_the_study_does_not_have_is_refused(made: tuple[Study, Path]) -> None:
    study, records = made
    path = records / "pretrain" / "scratch-s0.json"
    points = json.loads(path.read_text())["points"]
    edit(path, points=[{**points[0], "point": "p20"}, *points[1:]])
    with pytest.raises(GrowBenchError, match=r"scratch-s0\.json: it has no finished point p20 in this study"):
        aggregate.run(study)


@pytest.mark.parametrize(
    ("part", "value", "line"),
    [
        ("seed", 9, r"the seed \(9, now 1\) changed since; run its job again"),
        ("lr", 0.5, r"the learning rate \(0\.5, now .*\) changed since"),
        ("source", "5" * 64, "the source changed since"),
        ("share", 0.5, r"the share of the budget \(0\.5, now 1\.0\) changed since"),
        ("corpus", "5" * 64, "corpus '5+.* differs from .* in .*scratch-s0.json; the two cannot be compared"),
        (
            "precision",
            "bf16",
            r"precision 'bf16' differs from 'float32' in .*scratch-s0\.json; the two cannot be compared",
        ),
    ],
)
def test_a_run_that_was_made_from_something_else_is_refused(
    made: tuple[Study, Path], part: str, value: Any, line: str
) -> None:
    study, records = made
    path = records / "pretrain" / "bert2bert_fpi-s1.json"
    edit(path, identity={**json.loads(path.read_text())["identity"], part: value})
    with pytest.raises(GrowBenchError, match=rf"bert2bert_fpi-s1\.json: {line}"):
        aggregate.run(study)


@pytest.mark.parametrize("part", ["corpus", "precision", "source", "version"])
def test_what_is_not_recorded_passes_and_is_named(
    made: tuple[Study, Path], caplog: pytest.LogCaptureFixture, part: str
) -> None:
    study, records = made
    path = records / "pretrain" / "bert2bert_fpi-s1.json"
    edit(path, identity={**json.loads(path.read_text())["identity"], part: None})
    with caplog.at_level(logging.INFO):
        tables = aggregate.run(study)
    assert f"not recorded: {part}" in caplog.text
    found = pd.read_csv(tables / "provenance.csv", keep_default_na=False).set_index("kind")["not_recorded"]
    assert dict(found) == {"pretrain": part, "finetune": ""}


@pytest.mark.parametrize("part", ["method", "growth", "family", "train"])
def test_older_code_is_named_under_the_tables_and_refused_where_it_can_be_run_again(
    made: tuple[Study, Path], caplog: pytest.LogCaptureFixture, part: str
) -> None:
    study, records = made
    path = records / "pretrain" / "stackbert-s1.json"
    edit(path, identity={**json.loads(path.read_text())["identity"], part: "0" * 64 if part == "method" else 0})
    tables = aggregate.run(study)
    assert "these methods' code changed since their runs: stackbert" in caplog.text
    for name in ("savings.md", "scores.md"):
        assert (
            (tables / name).read_text().endswith("- The code of these methods changed since their runs: stackbert.\n")
        )
    study.layout.run("stackbert", 1).path.mkdir(parents=True)
    with pytest.raises(GrowBenchError, match=r"stackbert-s1\.json: .* changed since; run its job again"):
        aggregate.run(study)


def test_a_source_of_older_code_is_read_like_any_other_run(
    made: tuple[Study, Path], caplog: pytest.LogCaptureFixture
) -> None:
    """Methods that start from it name it in their identities, so its record is read for them too."""
    study, records = made
    path = records / "pretrain" / "source-s1.json"
    edit(path, identity={**json.loads(path.read_text())["identity"], "train": 0})
    aggregate.run(study)
    assert "these methods' code changed since their runs: source" in caplog.text
    study.layout.run("source", 1).path.mkdir(parents=True)
    with pytest.raises(GrowBenchError, match=r"source-s1\.json: train.VERSION .* changed since"):
        aggregate.run(study)


def test_a_curve_of_another_run_is_refused(made: tuple[Study, Path]) -> None:
    study, records = made
    other = (records / "pretrain/scratch-s1.csv").read_text()
    (records / "pretrain/scratch-s0.csv").write_text(other.replace("1000", "1001"))
    with pytest.raises(GrowBenchError, match=r"scratch-s0\.csv: not the curve of its record"):
        aggregate.run(study)


@pytest.mark.parametrize(
    ("part", "value", "line"),
    [
        ("model", "5" * 64, r"made from another model than .*stackbert-s1\.json; run its job again"),
        ("corpus", "5" * 64, r"made with another corpus than .*stackbert-s1\.json; run its job again"),
        ("precision", "bf16", "precision 'bf16' differs from 'float32' in .*scratch-s0-p100.json"),
        ("tasks", {"topic": {"dev.tsv": "5" * 64}}, "topic: files .* differs from .* in .*scratch-s0-p100.json"),
    ],
)
def test_a_fine_tuning_of_another_model_or_of_other_files_is_refused(
    made: tuple[Study, Path], part: str, value: Any, line: str
) -> None:
    study, records = made
    path = records / "finetune" / "stackbert-s1-p100.json"
    edit(path, made_from={**json.loads(path.read_text())["made_from"], part: value})
    with pytest.raises(GrowBenchError, match=rf"stackbert-s1-p100\.json: {line}"):
        aggregate.run(study)


@pytest.mark.parametrize(("key", "value"), [("n_dev", 99), ("n_train", 99), ("majority", 0.4)])
def test_scores_on_other_rows_are_refused(made: tuple[Study, Path], key: str, value: Any) -> None:
    study, records = made
    path = records / "finetune" / "stackbert-s1-p100.json"
    runs = json.loads(path.read_text())["runs"]
    edit(path, runs=[{**run, key: value} if run["task"] == "topic" else run for run in runs])
    with pytest.raises(
        GrowBenchError, match=rf"s1-p100\.json: topic: {key} {value} differs from .* in .*scratch-s0-p100"
    ):
        aggregate.run(study)
    edit(path, runs=[*runs[:-1], {**runs[-1], key: value}])
    with pytest.raises(GrowBenchError, match=rf"s1-p100\.json: similarity: {key} \[.*, {value}\] differs from"):
        aggregate.run(study)


def test_a_fine_tuning_that_the_study_does_not_ask_for_is_refused(made: tuple[Study, Path]) -> None:
    study, records = made
    path = records / "finetune" / "stackbert-s1-p100.json"
    runs = json.loads(path.read_text())["runs"]
    edit(path, runs=[*runs, {**runs[0], "seed": 7}])
    with pytest.raises(
        GrowBenchError, match=r"task acceptability with seed 7 at LR 0\.0005 is not of this study, or twice"
    ):
        aggregate.run(study)
    edit(path, runs=[*runs, runs[0]])
    with pytest.raises(
        GrowBenchError, match=r"task acceptability with seed 0 at LR 0\.0005 is not of this study, or twice"
    ):
        aggregate.run(study)
    edit(path, runs=runs, protocol="grid")
    with pytest.raises(GrowBenchError, match=r"protocol is grid, but finetune\.protocol is single"):
        aggregate.run(study)


def test_a_search_of_other_rates_another_share_or_precision_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study = constructed.study(
        {"scratch": None, "direct_copy": {"lr": 1e-3}}, **{"search.lrs": [1e-3, 2e-3], "search.seed": 0}
    )
    path = study.layout.search_record("scratch")
    for method in ("scratch", "source"):
        values = constructed.search(method, [(1e-3, 3.0), (2e-3, None)], 1e-3, study)
        constructed.dump(study.layout.search_record(method), values)
    constructed.write(tmp_path, study, {})
    aggregate.run(study)
    whole = json.loads(path.read_text())
    more = {"lr": 4e-3, "loss": 3.1, "flops": 1e9}
    for changes, line in (
        ({"trials": [*whole["trials"], more]}, r"it tried \[0.001, 0.002, 0.004\], but search.lrs is \[0.001, 0.002\]"),
        ({"share": 0.9}, r"share is 0\.9, but search\.share is"),
        ({"lr": 4e-3, "trials": [whole["trials"][1], {**more, "loss": 1.0}]}, "it tried"),
        ({"identity": {**whole["identity"], "seed": 3}}, r"the seed \(3, now 0\) changed since"),
        ({"identity": {**whole["identity"], "precision": "bf16"}}, r"precision 'bf16' differs from 'float32' in .*-s0"),
    ):
        constructed.dump(path, whole | changes)
        with pytest.raises(GrowBenchError, match=rf"scratch\.json: {line}"):
            aggregate.run(study)
    chosen = [{**whole["trials"][0], "loss": 5.0}, {**whole["trials"][1], "loss": 2.0, "flops": 1e9}]
    constructed.dump(path, whole | {"trials": chosen, "lr": 2e-3})
    with pytest.raises(
        GrowBenchError, match=r"scratch-s0\.json: the learning rate \(0\.001, now 0\.002\) changed since"
    ):
        aggregate.run(study)


def test_records_of_methods_that_left_the_study_are_ignored_and_their_tables_go(
    made: tuple[Study, Path], caplog: pytest.LogCaptureFixture
) -> None:
    study, records = made
    tables = aggregate.run(study)
    assert (tables / "ligo.csv").exists() and "stackbert" in (tables / "savings.csv").read_text()
    stale = [tables / "han_zhang_eps.csv", tables / "han_zhang_eps.md", tables / "han_zhang_eps.tex"]
    for path in stale:
        path.write_text("stale")
    (tables / "notes.txt").write_text("somebody's")
    kept = (records / "pretrain/stackbert-s0.json").read_bytes()
    del study.methods["stackbert"]
    with caplog.at_level(logging.INFO):
        aggregate.run(study)
    assert {path.name for path in tables.iterdir()} == {*outputs.names(study), "notes.txt"}
    assert "stackbert" not in (tables / "savings.csv").read_text() + (tables / "runs.csv").read_text()
    assert (
        "removed what this study no longer has: han_zhang_eps.csv, han_zhang_eps.md, han_zhang_eps.tex" in caplog.text
    )
    assert (records / "pretrain/stackbert-s0.json").read_bytes() == kept


def test_mixed_commits_are_reported(made: tuple[Study, Path], caplog: pytest.LogCaptureFixture) -> None:
    study, records = made
    edit(records / "pretrain" / "stackbert-s1.json", provenance=constructed.provenance() | {"dirty": True})
    with caplog.at_level(logging.WARNING):
        tables = aggregate.run(study)
    assert "abc123def456, abc123def456+" in caplog.text
    assert "abc123def456, abc123def456+" in (tables / "savings.md").read_text()


def test_a_study_without_scratch_is_refused(made: tuple[Study, Path]) -> None:
    study, _ = made
    del study.methods["scratch"]
    with pytest.raises(GrowBenchError, match=r"methods\.scratch"):
        aggregate.run(study)
