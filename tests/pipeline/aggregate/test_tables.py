"""Tables from constructed records: savings and scores come out as they were put in."""

import json
from pathlib import Path

import pandas as pd
import pytest
from support import constructed
from support.aggregated import COSTS, edit, row

from growbench.analysis import outputs
from growbench.errors import GrowBenchError
from growbench.pipeline.aggregate import run as aggregate
from growbench.study.study import Study


def test_savings_are_those_that_were_put_in(made: tuple[Study, Path]) -> None:
    tables = aggregate.run(made[0])
    grown = row(tables, "bert2bert_fpi")
    assert grown["saving_target_only"] == pytest.approx(0.5)
    assert grown["speedup_target_only"] == pytest.approx(1.0)
    assert grown["saving_total"] == pytest.approx(0.4), "the source costs a tenth of the budget"
    assert grown["saving_amortised"] == pytest.approx(0.5 - 0.1 / 3), "three methods share it"
    assert grown["source_reuses"] == 3
    assert grown["saving_electra_total"] == pytest.approx(0.4)
    assert grown["saving_wall_target_only"] == pytest.approx(0.5)
    assert (grown["saving_target_only_lo"], grown["saving_target_only_hi"]) == (pytest.approx(0.5),) * 2
    assert grown["n"] == 3 and grown["status_total"] == "reached"
    assert grown["threshold_loss"] == pytest.approx(constructed.loss_at(constructed.F))


def test_a_method_that_has_fewer_points_keeps_its_saving(made: tuple[Study, Path]) -> None:
    """It grew late; the crossing lies between the points that it has."""
    tables = aggregate.run(made[0])
    points = pd.read_csv(tables / "points.csv").query("seed == 0").groupby("method")["point"].apply(list)
    assert points["scratch"] == ["p25", "p50", "p100"] and points["stackbert"] == ["p50", "p100"]
    found = row(tables, "stackbert")
    assert found["saving_target_only"] == pytest.approx(0.2) and found["status_target_only"] == "reached"


def test_a_method_that_is_worse_than_scratch_has_a_negative_saving(made: tuple[Study, Path]) -> None:
    tables = aggregate.run(made[0])
    worse = row(tables, "direct_copy")
    assert worse["saving_target_only"] == pytest.approx(-0.3) and worse["status_target_only"] == "reached"
    assert worse["loss_gap"] > 0 and worse["loss_gap_lo"] == pytest.approx(worse["loss_gap"])


def test_a_method_that_never_reaches_the_loss_stays_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    costs = COSTS | {"direct_copy": 5.0}
    study = constructed.study(dict.fromkeys(costs))
    constructed.write(tmp_path, study, costs)
    tables = aggregate.run(study)
    worse = row(tables, "direct_copy")
    assert worse["status_target_only"] == "not reached" and pd.isna(worse["saving_target_only"])
    assert "| direct_copy | not reached |" in (tables / "savings.md").read_text()


def test_a_method_without_a_source_pays_none(made: tuple[Study, Path]) -> None:
    found = row(aggregate.run(made[0]), "stackbert")
    assert found["saving_total"] == found["saving_target_only"] == found["saving_amortised"]
    assert found["source_reuses"] == 0


def test_a_method_with_a_source_is_measured_against_scratch_with_its_flops_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    costs = {**COSTS, "scratch_iso": 1.0}
    study = constructed.study(dict.fromkeys(costs))
    records = constructed.write(tmp_path, study, costs)
    longer = 2  # where bert2bert_fpi ends
    for path in records.glob("pretrain/scratch_iso-s*.json"):
        points = json.loads(path.read_text())["points"]
        for point in points:
            point |= {"flops": longer * point["flops"], "flops_total": longer * point["flops_total"]}
            point["loss"] = constructed.loss_at(point["flops"])
        edit(path, points=points)
    tables = aggregate.run(study)
    assert row(tables, "bert2bert_fpi")["saving_iso"] == pytest.approx(1 - 1.1 / longer)
    assert row(tables, "bert2bert_fpi")["saving_total"] == pytest.approx(0.4)
    assert row(tables, "direct_copy")["saving_iso"] < 0
    assert pd.isna(row(tables, "stackbert")["status_iso"]) and row(tables, "scratch_iso")["status_iso"] == "baseline"
    for name in ("savings.md", "overview.md"):
        head, _, *lines = [line.split(" | ") for line in (tables / name).read_text().split("\n\n")[1].splitlines()]
        at = head.index("saving, everything counted, at scratch_iso's loss")
        found = {line[0].removeprefix("| "): line[at] for line in lines}
        assert found["bert2bert_fpi"].startswith("45.0 %") and found["stackbert"] == "–"


def test_a_study_without_scratch_iso_has_no_column_of_it(made: tuple[Study, Path]) -> None:
    tables = aggregate.run(made[0])
    assert "scratch_iso" not in (tables / "savings.md").read_text() + (tables / "overview.md").read_text()
    assert "saving_iso" not in pd.read_csv(tables / "savings.csv")


def test_every_number_of_every_record_is_in_runs(made: tuple[Study, Path]) -> None:
    study, _ = made
    table = pd.read_csv(aggregate.run(study) / "runs.csv")
    scores = table[(table["kind"] == "finetune") & table["main"].eq(True)]
    assert len(scores) == 5 * 3 * 3 * 2
    losses = table[(table["metric"] == "loss") & (table["method"] == "scratch")]
    assert sorted(losses["value"].unique()) == pytest.approx(
        sorted(constructed.loss_at(f * constructed.F) for f in constructed.FRACTIONS)
    )
    assert {"source", *COSTS} == set(table["method"])


def test_failed_runs_are_counted_and_listed(made: tuple[Study, Path]) -> None:
    study, records = made
    values = constructed.finetune(study, "stackbert", 0, "p100", 0.8, failed=True)
    values["runs"][-2]["score"] = None
    values["runs"][-2]["failed"] = True
    constructed.dump(records / "finetune" / "stackbert-s0-p100.json", values)
    table = pd.read_csv(aggregate.run(study) / "scores.csv").set_index(["method", "task"])
    found = table.loc[("stackbert", "similarity")]
    others = table.loc[("stackbert", "acceptability")]
    assert found["failed"] == 2 and found["n"] == 6 and others["failed"] == 0
    assert found["mean"] == pytest.approx((0.0 + 0.5 + 2 * (0.81 + 0.83)) / 6)
    assert table.loc[("stackbert", "average"), "failed"] == 2


def test_scores_have_the_right_statistics(made: tuple[Study, Path]) -> None:
    tables = aggregate.run(made[0])
    table = pd.read_csv(tables / "scores.csv").set_index(["method", "task"])
    found = table.loc[("bert2bert_fpi", "average")]
    assert found["mean"] == pytest.approx(0.835) and found["best"] == pytest.approx(0.845)
    assert found["median"] == pytest.approx(0.835) and found["majority"] == 0.5
    assert found["gap"] == pytest.approx(0.025) and found["gap_lo"] == pytest.approx(0.025)
    assert found["flops_total"] - found["flops"] == pytest.approx(constructed.SOURCE_FLOPS)
    assert table.loc[("scratch", "topic"), "subset"] and not table.loc[("scratch", "similarity"), "subset"]
    text = (tables / "scores.md").read_text()
    assert "not GLUE" in text and "topic*" in text and "average*" in text
    assert "Rows cut at finetune.max_length: acceptability 20 %, topic 20 %, similarity 20 %." in text
    assert "Rows with positions that pre-training never reached: topic 2 %." in text
    assert table.loc[("scratch", "topic"), "cut"] == 0.2 and table.loc[("scratch", "topic"), "unreached"] == 0.02


def test_captions_say_scale_n_protocol_commit_and_hardware(made: tuple[Study, Path]) -> None:
    text = (aggregate.run(made[0]) / "savings.md").read_text()
    for word in (
        "bert (2, 64) → (4, 128)",
        "n = 3",
        "protocol trunk",
        "abc123def456",
        "CPU, 2 cores",
        "ELECTRA",
        "[S2]",
    ):
        assert word in text


def test_published_values_carry_their_grade(made: tuple[Study, Path]) -> None:
    tables = aggregate.run(made[0])
    assert "34.1 %" in row(tables, "stackbert")["published"] and "[S]" in row(tables, "stackbert")["published"]
    assert "DeiT" not in row(tables, "stackbert")["published"], "the study's family is bert"
    assert pd.isna(row(tables, "direct_copy")["published"])


def test_a_single_seed_is_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = constructed.study(dict.fromkeys(COSTS), seeds=[0])
    constructed.write(tmp_path, study, COSTS)
    tables = aggregate.run(study)
    found = row(tables, "bert2bert_fpi")
    assert found["saving_target_only"] == pytest.approx(0.5) and pd.isna(found["saving_target_only_lo"])
    assert "One seed: no intervals" in (tables / "savings.md").read_text()


def test_the_papers_protocol_reads_the_logged_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The curve lies 0.05 nats above the law, so that cost 0.5 crosses where 0.5 e^0.2 of the budget is spent."""
    monkeypatch.chdir(tmp_path)
    study = constructed.study(dict.fromkeys(COSTS), **{"budget.protocol": "paper"})
    constructed.write(tmp_path, study, COSTS)
    found = row(aggregate.run(study), "bert2bert_fpi")
    assert found["saving_target_only"] == pytest.approx(1 - 0.5 * 2.718281828**0.2, abs=1e-3)
    assert found["saving_target_only"] - found["saving_amortised"] == pytest.approx(0.1 / 3, abs=1e-3)
    assert found["saving_electra_target_only"] == pytest.approx(0.5), "points, as the curve has no such column"


def test_the_same_records_give_the_same_bytes(made: tuple[Study, Path]) -> None:
    def read() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(aggregate.run(made[0]).iterdir())}

    first = read()
    assert first == read()
    assert set(first) == set(outputs.names(made[0]))


def test_a_grid_s_score_is_the_best_on_dev_for_each_run_and_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study = constructed.study(dict.fromkeys(COSTS), **{"finetune.lr": [5e-4, 1e-3], "finetune.protocol": "grid"})
    records = constructed.write(tmp_path, study, COSTS)
    with pytest.raises(GrowBenchError, match=r"task acceptability with seed 0 is missing at LR 0\.001"):
        aggregate.run(study)
    for path in (records / "finetune").iterdir():
        values = json.loads(path.read_text())
        seed, extra = values["seed"], json.loads(json.dumps(values["runs"]))
        for run in extra:  # the second LR is better for topic, and as bad as can be for the others
            score = 0.9 + 0.01 * seed if run["task"] == "topic" else 0.1
            run.update(lr=1e-3, score=score, metrics={"accuracy": score}, failed=score == 0.1)
        edit(path, runs=values["runs"] + extra, protocol="grid")
    tables = aggregate.run(study)
    table = pd.read_csv(tables / "scores.csv").set_index(["method", "task"])
    plain, topic = table.loc[("scratch", "acceptability")], table.loc[("scratch", "topic")]
    assert plain["mean"] == pytest.approx(0.82) and topic["mean"] == pytest.approx((0.9 + 0.91 + 0.92) / 3)
    assert (plain["n"], plain["tried"], plain["failed"], topic["failed"]) == (3, 4, 3 * 2, 0)
    average = table.loc[("scratch", "average")]
    assert average["mean"] == pytest.approx((2 * 0.82 + 0.91) / 3) and average["best"] == pytest.approx(
        (1.64 + 0.92) / 3
    )
    assert average["n"] == 3 and average["tried"] == 12
    every = pd.read_csv(tables / "runs.csv")
    every = every[(every["kind"] == "finetune") & every["main"].eq(True)]
    assert len(every) == 5 * 3 * 3 * 4 and set(every["lr"]) == {5e-4, 1e-3}
    text = (tables / "scores.md").read_text()
    assert "best on the development set over the grid" in text and "topic 4" in text and "protocol single" not in text


def test_probes_stand_beside_their_floors_and_not_beside_published_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study = constructed.study(dict.fromkeys(COSTS), **{"finetune.protocol": "probe"})
    records = constructed.write(tmp_path, study, COSTS)
    for path in sorted((records / "finetune").iterdir()):
        values = json.loads(path.read_text())
        for run in values["runs"]:
            run |= {"epochs": 0, "lr": 0.0, "batch": None, "strength": 1.0}
            run |= {"floors": {"random_model": 0.6, "bag_of_words": 0.7 if run["task"] == "topic" else 0.8}}
        constructed.dump(path, values)
    tables = aggregate.run(study)
    table = pd.read_csv(tables / "scores.csv").set_index(["method", "task"])
    assert table.loc[("scratch", "topic"), ["random_model", "bag_of_words"]].tolist() == [0.6, 0.7]
    assert table.loc[("scratch", "average"), "bag_of_words"] == pytest.approx((0.7 + 0.8 + 0.8) / 3)
    text = (tables / "scores.md").read_text()
    assert "| random model | 60.0 |" in text and "| bag of words | 76.7 | 80.0 | 70.0 | 80.0 |" in text
    assert "protocol probe: a linear model on each frozen model" in text and "not scores of fine-tuned models" in text
    assert pd.read_csv(tables / "overview.csv").filter(like="average").isna().all(axis=None)


def test_the_caption_says_which_number_is_printed(made: tuple[Study, Path]) -> None:
    text = (aggregate.run(made[0]) / "scores.md").read_text()
    assert (
        "protocol single: one setting per task, mean ± standard deviation over n = 6 runs (3 pre-training × 2" in text
    )
    assert "SQuAD" not in text and "85 % (IQM) and 93 % (P)" in text


def test_every_trial_of_a_search_is_in_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = constructed.study(
        {"scratch": None, "direct_copy": {"lr": 1e-3}}, **{"search.lrs": [1e-3, 2e-3], "search.seed": 0}
    )
    records = Path("results/made/records")
    for method in ("scratch", "source"):
        values = constructed.search(method, [(1e-3, 3.0), (2e-3, None)], 1e-3, study)
        constructed.dump(records / "search" / f"{method}.json", values)
    constructed.write(tmp_path, study, COSTS)
    table = pd.read_csv(aggregate.run(study) / "search.csv")
    assert list(table["method"]) == ["scratch", "scratch", "source", "source"]
    assert list(table["failed"]) == [False, True] * 2 and list(table["chosen"]) == [True, False] * 2
    (records / "search/scratch.json").unlink()
    with pytest.raises(GrowBenchError, match=r"search/scratch\.json: no such file"):
        aggregate.run(study)


def test_a_study_whose_methods_all_give_their_lr_has_no_table_of_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = {"scratch": {"lr": 1e-3}, "stackbert": {"lr": 2e-3}}
    study = constructed.study(own, **{"search.lrs": [1e-3, 2e-3], "search.seed": 9})
    constructed.write(tmp_path, study, COSTS)
    written = {path.name for path in aggregate.run(study).iterdir()}
    assert set(outputs.names(study)) <= written and "search.csv" not in written


def test_the_loss_after_growth_and_that_of_the_last_stage_have_two_names(made: tuple[Study, Path]) -> None:
    """A record's initial_loss is that of its last stage; the loss after growth is read on the curve."""
    study, records = made
    for path in records.glob("pretrain/bert2bert_fpi-s*.json"):
        edit(path, initial_loss=4.5)
    folder = aggregate.run(study)
    points, found = pd.read_csv(folder / "points.csv"), pd.read_csv(folder / "runs.csv")
    own = points[points["method"] == "bert2bert_fpi"]
    assert set(own["stage_loss"]) == {4.5} and set(own["loss_after_growth"]) == {5.0}
    named = found[(found["method"] == "bert2bert_fpi") & (found["metric"] == "stage_loss")]
    assert list(named["value"]) == [4.5] * 3
    for path in folder.glob("*.csv"):
        assert "initial_loss" not in path.read_text(), path.name
