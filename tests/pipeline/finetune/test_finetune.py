"""Fine-tuning as a whole: it learns, marks what failed, repeats, resumes, and writes nothing outside the study."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import downstream, signed
from support.downstream import LAYOUT, study
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from growbench import families
from growbench.errors import GrowBenchError
from growbench.pipeline.finetune import run as finetune
from growbench.study.study import Study

LANGUAGE = [name for name in families.names() if families.load(name).objective != "classification"]
CACHE = LAYOUT.run("scratch", 0).finetuned("p100")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", *(f"w{i}" for i in range(20))]


def sentiment(count: int, rng: np.random.Generator) -> str:
    """Return a file of SST-2 in which `good` or `bad` decides the label."""
    lines = ["sentence\tlabel"]
    for _ in range(count):
        label = int(rng.integers(0, 2))
        text = [f"w{i}" for i in rng.integers(0, 20, int(rng.integers(2, 9)))]
        text.insert(int(rng.integers(0, len(text))), ("bad", "good")[label])
        lines.append(" ".join(text) + f"\t{label}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A random model and a word tokenizer where a run would have left them; the fixture's parameter is its family."""
    monkeypatch.chdir(tmp_path)
    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {f"{key}_token": f"[{key.upper()}]" for key in ("pad", "unk", "cls", "sep")}
    downstream.save(PreTrainedTokenizerFast(tokenizer_object=core, **special), getattr(request, "param", "bert"))
    rng, folder = np.random.default_rng(0), tmp_path / "glue/SST-2"
    folder.mkdir(parents=True)
    for file, count in (("train.tsv", 200), ("dev.tsv", 80)):
        (folder / file).write_text(sentiment(count, rng))
    return tmp_path


def brief(folder: Path, **changes: Any) -> Study:
    return study(folder, "SST-2", **{"epochs": 6, "batch": 16, **changes})


def forget() -> None:
    """Remove what was fine-tuned."""
    shutil.rmtree(CACHE)
    LAYOUT.finetune_record("scratch", 0, "p100").unlink()


def test_it_learns_marks_what_failed_and_repeats(finished: Path) -> None:
    made = brief(finished, seeds=[0, 1])
    first = downstream.run(made)["runs"]
    assert [r["seed"] for r in first] == [0, 1] and all(r["score"] > 0.9 and not r["failed"] for r in first)
    assert all(r["subset"] and r["majority"] < 0.7 for r in first)
    forget()
    again = downstream.run(made)["runs"]
    assert [r["metrics"] for r in again] == [r["metrics"] for r in first]
    stuck = brief(finished, lr=1e-8, epochs=1, seeds=[0])
    failed = downstream.run(stuck)["runs"]
    assert len(failed) == 1 and failed[0]["failed"]


def test_a_stopped_job_resumes_from_its_finished_fine_tunings(finished: Path, monkeypatch) -> None:
    made = brief(finished, lr=[1e-3, 3e-3], protocol="grid", epochs=1, seeds=[0, 1])
    fit, done = finetune.fit, []

    def stopping(begin, task, settings, lr, seed):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append((lr, seed))
        return fit(begin, task, settings, lr, seed)

    signed.sign(made)
    monkeypatch.setattr(finetune, "fit", stopping)
    with pytest.raises(KeyboardInterrupt):
        downstream.run(made)
    assert len(list(CACHE.iterdir())) == 3 and not LAYOUT.finetune_record("scratch", 0, "p100").exists()
    (CACHE / "SST-2-0.001-0.json").write_text("{")  # damaged: done again
    changed = json.loads((CACHE / "SST-2-0.001-1.json").read_text())
    changed["run"]["score"] = 1.0  # changed by hand: done again
    (CACHE / "SST-2-0.001-1.json").write_text(json.dumps(changed))
    done.clear()
    resumed = downstream.run(made)["runs"]
    assert done == [(1e-3, 0), (1e-3, 1), (3e-3, 1)]
    monkeypatch.setattr(finetune, "fit", fit)
    forget()
    whole = downstream.run(made)["runs"]
    assert [{**run, "seconds": 0} for run in resumed] == [{**run, "seconds": 0} for run in whole]


@pytest.mark.parametrize("key", [pytest.param("HF_HOME", marks=pytest.mark.slow), "HOME"])
def test_nothing_is_written_outside_the_study(finished: Path, key: str) -> None:
    """An unwritable home must not end a job: metrics used to lock files below $HF_HOME."""
    (finished / "file").touch()
    made = brief(finished, epochs=1)
    signed.sign(made)
    config = finished / "study.json"
    values = {key: value for key, value in asdict(made).items() if key != "left_out"}
    config.write_text(json.dumps(values, default=str))
    home = {k: v for k, v in os.environ.items() if k not in ("HF_HOME", "XDG_CACHE_HOME")}
    words = ["finetune", "--config", str(config), "--method", "scratch", "--seed", "0", "--points", "p100"]
    before = {path for path in finished.rglob("*") if not path.is_relative_to(finished / "results")}
    done = subprocess.run(
        [sys.executable, "-m", "growbench", *words], env={**home, key: str(finished / "file/home")},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert LAYOUT.finetune_record("scratch", 0, "p100").exists()
    after = {path for path in finished.rglob("*") if not path.is_relative_to(finished / "results")}
    assert after == before


@pytest.mark.parametrize("finished", LANGUAGE, indirect=True)
def test_every_language_family_learns_a_task(finished: Path, request: pytest.FixtureRequest) -> None:
    made = brief(finished, epochs=8, family=request.node.callspec.params["finished"])
    run = downstream.run(made)["runs"][0]
    assert run["score"] > 0.9 and not run["failed"]


def test_an_unfinished_point_is_refused(finished: Path) -> None:
    with pytest.raises(GrowBenchError, match="p40"):
        finetune.run(brief(finished), "scratch", [0], ["p40"])


def test_examples_longer_than_the_model_s_positions_are_refused(finished: Path) -> None:
    made = brief(finished, max_length=17)
    signed.sign(made)
    with pytest.raises(GrowBenchError, match="16 positions, fewer than the 17 tokens"):
        finetune.run(made, "scratch", [0], ["p100"])


def test_the_lr_is_chosen_on_rows_that_are_not_trained_on(finished: Path) -> None:
    tried = {"lr": [1e-7, 3e-3], "seeds": [0, 1], "epochs": 8}
    made = brief(finished, protocol="held_out", held_out=0.25, **tried)
    runs = downstream.run(made)["runs"]
    assert [(run["n_train"], run["n_held_out"]) for run in runs] == [(150, 50)] * 4
    on = {lr: [run["held_out"] for run in runs if run["lr"] == lr] for lr in tried["lr"]}
    assert min(on[3e-3]) > max(on[1e-7])
    whole = downstream.run(brief(finished, protocol="grid", **tried))["runs"]
    assert {run["n_train"] for run in whole} == {200} and "held_out" not in whole[0]
    assert whole[0]["flops"] > 1.2 * runs[0]["flops"] > 0


def test_a_second_dev_set_is_scored_beside_the_first(finished: Path) -> None:
    folder, rng = finished / "glue/MNLI", np.random.default_rng(1)
    folder.mkdir()
    for file, count in (("train.tsv", 60), ("dev_matched.tsv", 20), ("dev_mismatched.tsv", 30)):
        rows = [f"w{i} w{i + 1}\tgood\t{('entailment', 'neutral')[i % 2]}" for i in rng.integers(0, 18, count)]
        (folder / file).write_text("\n".join(["sentence1\tsentence2\tgold_label", *rows]) + "\n")
    made = study(finished, "MNLI", epochs=1, batch=16)
    (run,) = downstream.run(made)["runs"]
    assert set(run["metrics"]) == {"accuracy", "accuracy_mismatched"} and run["n_dev"] == 20
    (folder / "dev_mismatched.tsv").unlink()
    (run,) = downstream.run(made)["runs"]
    assert set(run["metrics"]) == {"accuracy"}
