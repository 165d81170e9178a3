"""GLUE files with their traps, and a fine-tuning that has to learn."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from growbench import families
from growbench.errors import GrowBenchError
from growbench.pipeline.finetune import run as finetune
from growbench.pipeline.finetune.cache import kept
from growbench.pipeline.finetune.fit import share
from growbench.records.layout import Layout
from growbench.spec import ModelSpec
from growbench.study.sections import FinetuneConfig
from growbench.tasks import Task, glue
from growbench.train import checkpoint


def study(tmp: Path, source: str = "local", names: tuple[str, ...] = ("CoLA",), **changes):
    settings = {
        "points": [1.0],
        "seeds": [0, 1],
        "epochs": 6,
        "lr": 3e-3,
        "batch": 16,
        "warmup": 0.1,
        "weight_decay": 0.01,
    }
    settings |= {
        "dropout": 0.0,
        "max_length": 16,
        "max_train": None,
        "threads": 1,
        "protocol": "single",
        "source": False,
        "decay": "linear",
    }
    settings |= {"doc_stride": 4, "answer_length": 5, "tasks": {}, **changes}
    made = SimpleNamespace(
        study="tiny",
        layout=Layout("tiny"),
        trained_part=dict,
        data=SimpleNamespace(dir=str(tmp)),
        tasks=SimpleNamespace(source=source, names=list(names)),
    )
    made.target = SimpleNamespace(family="bert")
    made.finetune = FinetuneConfig(**settings)
    made.finetuned_part = lambda: settings
    return made


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_cola_has_no_header_and_quotes_are_letters(tmp_path: Path) -> None:
    for file in ("train.tsv", "dev.tsv"):
        write(tmp_path / "glue/CoLA" / file, 'gj04\t1\t\tHe said "go.\nks08\t0\t*\tGo said he the.\n')
    task, train, _ = glue.load(glue.task("CoLA", study(tmp_path)), study(tmp_path))
    assert train == [(('He said "go.',), 1), (("Go said he the.",), 0)]
    assert task.subset


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sentence\tlable\nfine\t1\n", "no column 'label'"),
        ("sentence\tlabel\nfine\t2\n", "label '2' is not one of 0, 1"),
        ("sentence\tlabel\nfine\n", "1 columns"),
        ("sentence\tlabel\n", "holds no rows"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    write(tmp_path / "glue/SST-2/train.tsv", text)
    with pytest.raises(GrowBenchError, match=words) as caught:
        glue.check(study(tmp_path, names=("SST-2",)))
    assert "SST-2" in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_and_an_unknown_task_name_their_remedy(tmp_path: Path) -> None:
    with pytest.raises(GrowBenchError, match="official file"):
        glue.check(study(tmp_path))
    with pytest.raises(GrowBenchError, match="did you mean 'CoLA'"):
        glue.task("Cola", study(tmp_path))


def split(count: int = 100) -> finetune.Encoded:
    rng = np.random.default_rng(0)
    ids = [[2, *[7] * int(n), 3] for n in rng.integers(1, 30, count)]
    return finetune.Encoded(ids, [[0] * len(i) for i in ids], np.zeros(count, dtype=np.int64))


def test_batches_visit_every_row_once_and_hold_like_lengths() -> None:
    data = split()
    made = finetune.batches(data, 8, np.random.default_rng(1))
    assert sorted(np.concatenate(made).tolist()) == list(range(100))
    spread = [max(len(data.ids[r]) for r in rows) - min(len(data.ids[r]) for r in rows) for rows in made]
    assert np.mean(spread) < 5
    again = finetune.batches(data, 8, np.random.default_rng(1))
    assert all((a == b).all() for a, b in zip(made, again, strict=True))


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A random model and a word tokenizer where a run would have left them; its family may be the fixture's parameter."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    monkeypatch.chdir(tmp_path)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", *(f"w{i}" for i in range(20))]
    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    fast.save_pretrained("results/tiny/corpus/tokenizer")
    family = families.load(getattr(request, "param", "bert"))
    spec = ModelSpec(family=family.name, layers=1, hidden=32, heads=2, ffn=64, vocab=len(words), max_length=16)
    checkpoint.save_model(
        Path("results/tiny/runs/scratch-s0/points/p100"), family.build(family.config(spec, **family.dropout(0.0)))
    )
    rng = np.random.default_rng(0)
    for file, count in (("train.tsv", 200), ("dev.tsv", 80)):
        lines = ["sentence\tlabel"]
        for _ in range(count):
            label = int(rng.integers(0, 2))
            text = [f"w{i}" for i in rng.integers(0, 20, int(rng.integers(2, 9)))]
            text.insert(int(rng.integers(0, len(text))), ("bad", "good")[label])
            lines.append(" ".join(text) + f"\t{label}")
        write(tmp_path / "glue/SST-2" / file, "\n".join(lines) + "\n")
    return tmp_path


def test_it_learns_marks_what_failed_and_repeats(finished: Path) -> None:
    made = study(finished, names=("SST-2",))
    path = finetune.run(made, "scratch", [0], ["p100"])[0]
    first = json.loads(path.read_text())["runs"]
    assert [r["seed"] for r in first] == [0, 1] and all(r["score"] > 0.9 and not r["failed"] for r in first)
    assert all(r["subset"] and r["majority"] < 0.7 for r in first)
    again = json.loads(finetune.run(made, "scratch", [0], ["p100"])[0].read_text())["runs"]
    assert [r["metrics"] for r in again] == [r["metrics"] for r in first]
    stuck = study(finished, names=("SST-2",), lr=1e-8, epochs=1, seeds=[0])
    failed = json.loads(finetune.run(stuck, "scratch", [0], ["p100"])[0].read_text())["runs"]
    assert len(failed) == 1 and failed[0]["failed"]


def test_a_job_that_is_ended_goes_on_from_the_fine_tunings_it_has_done(finished: Path, monkeypatch) -> None:
    made, fit, done = study(finished, names=("SST-2",), lr=[1e-3, 3e-3], protocol="grid", epochs=1), finetune.fit, []

    def ending(begin, ready, own, lr, seed):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append((lr, seed))
        return fit(begin, ready, own, lr, seed)

    monkeypatch.setattr(finetune, "fit", ending)
    with pytest.raises(KeyboardInterrupt):
        finetune.run(made, "scratch", [0], ["p100"])
    place = Path("results/tiny/runs/scratch-s0/finetune/p100")
    assert len(list(place.iterdir())) == 3 and not list(Path("results").rglob("records/finetune/*.json"))
    (place / "SST-2-0.001-0.json").write_text("{")  # damaged: done again
    done.clear()
    went_on = json.loads(finetune.run(made, "scratch", [0], ["p100"])[0].read_text())["runs"]
    assert done == [(1e-3, 0), (3e-3, 1)] and not place.exists()
    monkeypatch.setattr(finetune, "fit", fit)
    whole = json.loads(finetune.run(made, "scratch", [0], ["p100"])[0].read_text())["runs"]
    assert [{**run, "seconds": 0} for run in went_on] == [{**run, "seconds": 0} for run in whole]


def test_what_is_kept_of_another_config_is_not_used(finished: Path) -> None:
    made = study(finished, names=("SST-2",), seeds=[0], epochs=1)
    point = ("scratch", 0, "p100")
    assert kept(made, *point).once("a", lambda: {"score": 1}) == {"score": 1}
    assert kept(made, *point).once("a", lambda: {"score": 2}) == {"score": 1}
    assert kept(study(finished, epochs=2), *point).once("a", lambda: {"score": 2}) == {"score": 2}


LANGUAGE = [name for name in families.names() if families.load(name).objective != "classification"]


@pytest.mark.parametrize("finished", LANGUAGE, indirect=True)
def test_every_language_family_learns_a_task(finished: Path, request: pytest.FixtureRequest) -> None:
    made = study(finished, names=("SST-2",), seeds=[0], epochs=8)
    made.target.family = request.node.callspec.params["finished"]
    run = json.loads(finetune.run(made, "scratch", [0], ["p100"])[0].read_text())["runs"][0]
    assert run["score"] > 0.9 and not run["failed"]


def test_a_regression_starts_from_the_training_mean() -> None:
    labels = np.array([1.0, 2.0, 6.0], dtype=np.float32)
    task = Task(
        name="x", suite="GLUE", text_columns=("s",), label_column="l", num_labels=1, labels=None,
        metrics=("pearson",), main="pearson",
    )  # fmt: skip
    ready = finetune.Ready(task, finetune.Encoded([[1]] * 3, [[0]] * 3, labels), split(3))
    assert finetune.offset(ready) == 3.0
    model = SimpleNamespace(config=SimpleNamespace(type_vocab_size=2))
    batch = {"labels": torch.tensor([1.0, 6.0]), "token_type_ids": torch.zeros(2)}
    assert finetune.inputs(model, batch, 3.0)["labels"].tolist() == [-2.0, 3.0]
    assert "token_type_ids" not in finetune.inputs(SimpleNamespace(config=SimpleNamespace()), batch, 0.0)


def test_an_unfinished_point_is_refused(finished: Path) -> None:
    with pytest.raises(GrowBenchError, match="p40"):
        finetune.run(study(finished, names=("SST-2",)), "scratch", [0], ["p40"])


def test_examples_longer_than_the_model_s_positions_are_refused(finished: Path) -> None:
    with pytest.raises(GrowBenchError, match="16 positions, fewer than the 17 tokens"):
        finetune.run(study(finished, names=("SST-2",), max_length=17), "scratch", [0], ["p100"])


def test_a_regression_task_is_scored_by_correlation() -> None:
    task = Task(
        name="x",
        suite="GLUE",
        text_columns=("s",),
        label_column="l",
        num_labels=1,
        labels=None,
        metrics=("pearson",),
        main="pearson",
    )
    assert finetune.results(task, np.array([1, 2, 3], dtype=np.float32), np.array([2, 4, 6], dtype=np.float32))[
        "pearson"
    ] == pytest.approx(1)


@pytest.mark.parametrize(("decay", "quarter"), [("linear", 0.75), ("cosine", (2 + 2**0.5) / 4)])
def test_the_lr_rises_then_falls_to_zero(decay: str, quarter: float) -> None:
    shares = [share(step, 110, 10 / 110, decay) for step in range(111)]
    assert shares[:11] == pytest.approx([0.1 * (i + 1) for i in range(10)] + [1.0])
    assert shares[60] == pytest.approx(0.5) and shares[110] == pytest.approx(0)
    assert shares[10:] == sorted(shares[10:], reverse=True)
    assert shares[35] == pytest.approx(quarter)
