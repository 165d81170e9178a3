"""Rows that are cut are counted, in the forecast and in the record, and a task most of whose rows are cut is refused."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics
from support import downstream, signed
from support.downstream import study
from support.questions import ask, layout, words

from growbench.cli import cut_rows as text
from growbench.cli import main as cli
from growbench.errors import GrowBenchError
from growbench.pipeline.finetune import cut_rows
from growbench.pipeline.finetune import run as finetune
from growbench.records import predictions

SHORT: dict[str, Any] = {"epochs": 1, "batch": 16}


def put(folder: Path, sizes: dict[str, list[int]]) -> None:
    """Write a small MRPC: in each file one pair for each number of words of its first sentence; the second has two."""
    place = folder / "glue/MRPC"
    place.mkdir(parents=True, exist_ok=True)
    for file, counts in sizes.items():
        rows = ["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"]
        rows += [f"{i % 2}\t0\t0\t{' '.join('abcd'[i % 4] for _ in range(n))}\te f" for i, n in enumerate(counts)]
        (place / file).write_text("\n".join(rows) + "\n")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pairs of 10 to 25 tokens: five special tokens and words, as the model has 16 positions."""
    monkeypatch.chdir(tmp_path)
    downstream.save(words(), "bert")
    put(tmp_path, {"train.tsv": [5, 5, 5, 11, 11, 20] * 4, "dev.tsv": [5, 12, 13, 14]})
    return tmp_path


def test_the_forecast_says_what_is_cut_and_what_pre_training_never_reached(files: Path) -> None:
    made = study(files, "MRPC")
    train, dev = cut_rows.forecast(made)
    assert (train.split, train.limit, train.cut) == ("train", 16, pytest.approx(1 / 6))
    assert (dev.cut, dev.enough) == (3 / 4, 10)
    reached = made.objective.length
    assert train.unreached == np.mean(np.minimum([10, 10, 10, 16, 16, 25], 16) > reached)
    shown = "\n".join(text.lines([train, dev]))
    assert "MRPC" in shown and "17%" in shown and "75%" in shown


def test_a_task_most_of_whose_rows_are_cut_is_refused_before_training(files: Path) -> None:
    made = study(files, "MRPC", most_cut=0.5, **SHORT)
    signed.sign(made)
    with pytest.raises(GrowBenchError) as caught:
        finetune.run(made, "scratch", [0], ["p100"])
    line = str(caught.value)
    assert line.startswith(
        "finetune.max_length: 16 cuts 75% of MRPC's dev rows, more than finetune.most_cut 0.5 allows"
    )
    assert "use at least 17" in line and "\n" not in line
    fits = study(files, "MRPC", tasks={"MRPC": {"most_cut": 0.8}}, **SHORT)
    assert downstream.run(fits)["runs"]


def test_the_smallest_length_that_would_do_does() -> None:
    rng = np.random.default_rng(0)
    for most in (0.1, 0.5, 0.99):
        found = rng.integers(5, 40, 101)
        share = cut_rows.of_rows("x", "train", found, 4, most, 8)
        assert share.enough is not None
        assert np.mean(found > share.enough) <= most < np.mean(found > share.enough - 1)


def test_the_record_counts_cut_rows_and_keeps_predictions_that_give_its_score(files: Path) -> None:
    made = study(files, "MRPC", seeds=[0, 1], **SHORT)
    record = downstream.run(made)
    for run, kept in zip(record["runs"], predictions.examples(record), strict=True):
        assert (run["n_cut_train"], run["n_cut_dev"], run["n_skipped"]) == (4, 3, 0)
        lengths = [10, 10, 10, 16, 16, 16] * 4 + [10, 16, 16, 16]
        assert run["n_unreached"] == sum(n > made.objective.length for n in lengths)
        assert kept.labels is not None and metrics.accuracy_score(kept.labels, kept.predicted) == run["score"]


def test_settings_of_one_limit_do_not_change_what_is_fine_tuned(files: Path) -> None:
    one, other = (study(files, "MRPC", most_cut=most) for most in (0.5, 1.0))
    assert one.finetuned_part() == other.finetuned_part() and "most_cut" not in one.finetuned_part()


def test_a_question_is_cut_at_half_a_window_and_f1_of_each_is_kept(files: Path) -> None:
    folder = files / "squad"
    folder.mkdir()
    asked = [ask("a b", "c d e f", "d"), ask("a " * 9, "c d", "c"), ask("a " * 10, "c d", "c")]
    for file in ("train.json", "dev.json"):
        (folder / file).write_text(json.dumps(layout(asked, "1.1")))
    made = study(files, "SQuAD1.1", **SHORT)
    share = next(iter(cut_rows.forecast(made)))
    assert share.cut == pytest.approx(2 / 3) and share.enough == 4 and "most" not in share.task
    record = downstream.run(made)
    run, kept = record["runs"][0], next(predictions.examples(record))
    assert run["n_cut_train"] == run["n_cut_dev"] == 2
    assert kept.labels is None and kept.predicted.mean() == pytest.approx(run["score"], abs=1e-3)
    with pytest.raises(GrowBenchError, match=r"67% of SQuAD1.1's train rows.*use at least 18"):
        finetune.run(study(files, "SQuAD1.1", most_cut=0.5, **SHORT), "scratch", [0], ["p100"])


def test_check_refuses_and_plan_lists_once_there_is_a_tokenizer(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def saved(most: float) -> str:
        values = {k: v for k, v in asdict(study(files, "MRPC", most_cut=most)).items() if k != "left_out"}
        (files / "study.json").write_text(json.dumps(values, default=str))
        return str(files / "study.json")

    assert cli.main(["check", "--config", saved(0.5)]) == 2
    assert "cuts 75% of MRPC's dev rows" in capsys.readouterr().err
    assert cli.main(["check", "--config", saved(0.8)]) == 0
    assert cli.main(["plan", "--no-timing", "--config", saved(0.5)]) == 0
    assert ["MRPC", "dev", "16", "75%"] in [line.split()[:4] for line in capsys.readouterr().out.splitlines()]
    (files / "glue/MRPC/dev.tsv").unlink()
    assert cli.main(["plan", "--no-timing", "--config", saved(0.5)]) == 0
    assert "Rows that are cut: not known (" in capsys.readouterr().out
