"""SQuAD: the official scores by hand, windows and spans with known answers, and a fine-tuning that has to learn."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast
from transformers.models.auto.modeling_auto import MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES as STOCK

from growbench import families
from growbench.errors import GrowBenchError
from growbench.pipeline.finetune import run as finetune
from growbench.pipeline.finetune import spans, windows
from growbench.spec import ModelSpec
from growbench.study import config, files
from growbench.study.sections import FinetuneConfig
from growbench.tasks import squad
from growbench.tasks.metrics.squad import best_threshold, each, mean_scores, normalize
from growbench.tasks.squad import Question
from growbench.train import checkpoint

ROOT = Path(__file__).resolve().parents[2]
SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]"}
WORDS = [*SPECIAL.values(), *"abcdefghijklmnopqrstuvwxyz"]


def words(template: bool = True) -> PreTrainedTokenizerFast:
    """Lower-cased words between blanks; `a` to `z` are known."""
    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    core.normalizer, core.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.WhitespaceSplit()
    if template:
        core.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    return PreTrainedTokenizerFast(tokenizer_object=core, **{f"{k}_token": v for k, v in SPECIAL.items()})


def settings(**changes: Any) -> FinetuneConfig:
    values = {
        "points": (1.0,), "seeds": (0,), "source": False, "protocol": "single", "decay": "linear", "epochs": 12, "lr": 3e-3, "batch": 16, "warmup": 0.1,
        "weight_decay": 0.01, "dropout": 0.0, "max_length": 16, "max_train": None, "doc_stride": 4, "answer_length": 5,
        "tasks": {}, "threads": 1,
    }  # fmt: skip
    return FinetuneConfig(**{**values, **changes})


def ask(text: str, context: str, *answers: str) -> Question:
    return Question("q", text, context, answers, context.index(answers[0]) if answers else 0)


@pytest.mark.parametrize(
    ("said", "answers", "exact", "f1"),
    [
        ("The  Cat.", ["a cat!"], 1, 1),
        ("the big cat", ["cat sat", "big cat indeed"], 0, 0.8),
        ("cat cat", ["cat"], 0, 2 / 3),
        ("dog", ["cat"], 0, 0),
        ("", ["cat"], 0, 0),
        ("", [], 1, 1),
        ("cat", [], 0, 0),
        ("", ["the"], 1, 1),
        ("Théâtre", ["theatre"], 0, 0),
        ("U.S.", ["US"], 1, 1),
        ("another", ["other"], 0, 0),
    ],
)
def test_scores_by_hand(said: str, answers: list[str], exact: float, f1: float) -> None:
    assert each(said, answers) == (exact, pytest.approx(f1))
    found = mean_scores([said, "x"], [answers, ["x"]])
    assert found == {"exact_match": pytest.approx((1 + exact) / 2), "f1": pytest.approx((1 + f1) / 2)}


def test_articles_are_words_not_letters() -> None:
    assert normalize("A theme: an\tAnt, the-end") == "theme ant theend"


def test_the_best_threshold_is_that_of_every_threshold_tried() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        gap = rng.integers(-3, 4, 30).astype(float)
        answered, silent = rng.random(30), rng.integers(0, 2, 30).astype(float)
        levels = [gap.min() - 1, *sorted(set(gap))]
        tried = [np.where(gap <= level, answered, silent).mean() for level in levels]
        best, threshold = best_threshold(gap, answered, silent)
        assert best == pytest.approx(max(tried)) and threshold == levels[int(np.argmax(tried))]
    assert best_threshold(np.array([np.inf]), np.zeros(1), np.ones(1)) == (1.0, 0.0)


def test_cuts_overlap_and_cover_the_context() -> None:
    assert windows.cuts(5, 8, 3) == [(0, 5)]
    assert windows.cuts(10, 6, 3) == [(0, 6), (3, 9), (6, 10)]
    assert windows.cuts(12, 6, 6) == [(0, 6), (6, 12)]
    assert windows.cuts(0, 6, 3) == [(0, 0)]


@pytest.mark.parametrize("causal", [False, True])
def test_windows_hold_the_answer_where_it_is(causal: bool) -> None:
    context = "A b c d e f g h i j k l"
    made = windows.windows(words(), [ask("y z", context, "d e"), ask("z", context)], settings(max_length=11), causal)
    rows = [[WORDS[i] for i in ids] for ids in made.ids]
    assert rows[0] == ["[CLS]", "y", "z", "[SEP]", *"abcdef", "[SEP]"]
    assert rows[1] == ["[CLS]", "y", "z", "[SEP]", *"efghij", "[SEP]"]
    assert made.types[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1]
    null = 10 if causal else 0
    assert made.labels[:2].tolist() == [[7, 8], [null, null]], "the second window holds only half of the answer"
    assert made.question.tolist() == [0, 0, 0, 1, 1, 1]
    last = np.flatnonzero(made.question == 1)
    assert (made.labels[last] == made.null[last][:, None]).all(), "no answer anywhere"
    assert all(rows[r][made.null[r]] == ("[SEP]" if causal else "[CLS]") for r in range(len(rows)))
    assert [context[slice(*pair)] for pair in made.spans[1]] == list("efghij")


def test_a_long_question_is_cut_and_a_bare_tokenizer_gets_a_null_token() -> None:
    question = ask(" ".join("abcdefghijkl"), "x y z", "y")
    for causal, row in ((True, [*"abcdefxyz", "[SEP]"]), (False, ["[CLS]", *"abcdefxyz"])):
        made = windows.windows(words(template=False), [question], settings(max_length=12), causal)
        assert [WORDS[i] for i in made.ids[0]] == row
        assert made.labels[0].tolist() == [row.index("y")] * 2


def byte_level() -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    from tokenizers.trainers import BpeTrainer

    letters = pre_tokenizers.ByteLevel.alphabet()
    core.train_from_iterator(["the old café is shut"] * 3, BpeTrainer(vocab_size=400, initial_alphabet=letters))
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="!", sep_token="!")


@pytest.mark.parametrize("answer", ["café", " café ", "old café is", "the", "x", "naïve x"])
def test_bytes_and_blanks_do_not_move_an_answer(answer: str) -> None:
    """The text of the tokens that are labelled, cut to its letters, is the answer: accents are two tokens here."""
    question = ask("where", "the old café is shut naïve x", answer)
    fast = byte_level()
    pairs = np.asarray(fast([question.context], return_offsets_mapping=True)["offset_mapping"][0])
    first, last = windows.answer_tokens(question, pairs)
    assert question.context[pairs[first, 0] : pairs[last, 1]].strip() == answer.strip()


def test_the_best_spans_are_those_of_a_search_over_all() -> None:
    rng = torch.Generator().manual_seed(0)
    start, end = torch.randn(2, 3, 9, generator=rng)
    inside = torch.zeros(3, 9, dtype=torch.bool)
    inside[:, 2:8] = True
    scores, firsts, lasts = spans.best_spans(start, end, inside, 3, 6)
    for row in range(3):
        every = sorted(
            ((float(start[row, i] + end[row, j]), i, j) for i in range(2, 8) for j in range(i, min(8, i + 3))),
            reverse=True,
        )
        found = zip(scores[row].tolist(), firsts[row].tolist(), lasts[row].tolist(), strict=True)
        assert [(i, j) for _, i, j in found] == [(i, j) for _, i, j in every[:6]]
    few = spans.best_spans(start, end, inside & (torch.arange(9) == 4), 3, 6)[0]
    assert torch.isfinite(few).sum(1).tolist() == [1, 1, 1]


def test_blank_candidates_are_passed_over() -> None:
    assert spans.choose("ab  cd", [(3.0, 2, 4), (2.0, 4, 6), (1.0, 0, 2)]) == ("cd", 2.0)
    assert spans.choose("ab", []) == ("", float("-inf"))


def test_no_answer_is_given_where_its_score_is_higher_and_the_best_threshold_stands_beside() -> None:
    asked = [ask("q", "x y", "x"), ask("q", "x y", "y"), ask("q", "x y"), ask("q", "x y")]
    chosen = [("x", 1.0), ("y", 1.0), ("x", 1.0), ("x", 1.0)]
    silence = np.array([0.0, 2.5, 2.0, 4.0])  # differences -1, 1.5, 1, 3
    found = spans.outcome("SQuAD2.0", asked, chosen, silence, True)
    assert found.metrics["f1"] == 0.75 and found.metrics["exact_match"] == 0.75
    assert found.metrics["best_f1"] == 0.75 and found.metrics["best_f1_threshold"] == -1.0
    silence[1] = 1.5
    found = spans.outcome("SQuAD2.0", asked, chosen, silence, True)
    assert found.metrics["best_f1"] == 1.0 and found.metrics["best_f1_threshold"] == 0.5 and not found.constant
    plain = spans.outcome("SQuAD1.1", asked[:2], chosen[:2], silence[:2], True)
    assert plain.metrics == {"exact_match": 1.0, "f1": 1.0}
    assert spans.outcome("SQuAD2.0", asked, chosen, silence + 9, True).constant, "silent everywhere"


def layout(questions: list[Question], version: str = "v2.0") -> dict[str, Any]:
    """The official layout, one paragraph a question; impossible ones carry a plausible answer."""
    paragraphs = []
    for number, q in enumerate(questions):
        entry = {
            "id": f"{number}",
            "question": q.text,
            "answers": [{"text": t, "answer_start": q.start} for t in q.answers],
        }
        if version == "v2.0":
            entry["is_impossible"] = not q.answers
            if not q.answers:
                entry["plausible_answers"] = [{"text": q.context[:1], "answer_start": 0}]
        paragraphs.append({"context": q.context, "qas": [entry]})
    return {"version": version, "data": [{"title": "t", "paragraphs": paragraphs}]}


def find(count: int, seed: int, impossible: bool) -> list[Question]:
    """The answer is the question's own letter in the context, too long for one window; without it there is none."""
    rng, out = np.random.default_rng(seed), []
    for number in range(count):
        letters = rng.permutation(list("bcdefghijklmnopqrstuvwxyz"))[:15].tolist()
        key = letters[int(rng.integers(14))]
        out.append(
            ask(key, " ".join(w for w in letters if w != key))
            if impossible and number % 3 == 0
            else ask(key, " ".join(letters), key)
        )
    return out


def study(folder: Path, name: str, family: str = "bert", **changes: Any) -> Any:
    values = files.read(ROOT / "config/demo.yaml")
    values["tasks"] = {"source": "local", "names": [name]}
    values["data"]["dir"], values["study"] = str(folder), "tiny"
    values["finetune"] |= {"max_length": 16, "doc_stride": 4, "epochs": 8, "lr": 3e-3, "batch": 32, **changes}
    values["methods"], values["target"]["family"] = {"scratch": None}, family
    values["objective"]["kind"] = "clm" if families.load(family).objective == "clm" else "mlm"
    return config.load(values)


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A random model and a tokenizer where a run would have left them, and both versions' files."""
    monkeypatch.chdir(tmp_path)
    words().save_pretrained("results/tiny/corpus/tokenizer")
    family = families.load(getattr(request, "param", "bert"))
    spec = ModelSpec(family=family.name, layers=2, hidden=32, heads=2, ffn=64, vocab=len(WORDS), max_length=16)
    model = family.build(family.config(spec, **family.dropout(0.0), initializer_range=0.1))
    checkpoint.save_model(Path("results/tiny/runs/scratch-s0/points/p100"), model)
    for version, folder in (("1.1", "squad"), ("v2.0", "squad_v2")):
        (tmp_path / folder).mkdir()
        for file, count, seed in (("train", 1000, 0), ("dev", 150, 1)):
            made = layout(find(count, seed, version == "v2.0"), version)
            (tmp_path / folder / f"{file}.json").write_text(json.dumps(made))
    return tmp_path


def first(made: Any) -> dict[str, Any]:
    return json.loads(finetune.run(made, "scratch", [0], ["p100"])[0].read_text())


ABLE = [name for name in families.names() if families.load(name).spans]


def test_families_say_whether_they_have_a_stock_span_head() -> None:
    assert [name for name in families.names() if STOCK.get(name)] == ABLE


@pytest.mark.parametrize("finished", ABLE, indirect=True)
def test_every_family_s_head_stands_on_the_checkpoint_s_trunk(finished: Path, request: pytest.FixtureRequest) -> None:
    family = request.node.callspec.params["finished"]
    made = study(finished, "SQuAD1.1", family, max_train=8, epochs=1)
    ready = finetune.prepare(made, words(), "SQuAD1.1")
    folder = Path("results/tiny/runs/scratch-s0/points/p100")
    stock = families.load(family).model_class().from_pretrained(folder).eval()
    pad = stock.config.pad_token_id or 0
    model = ready.model(folder, pad, families.load(family).dropout(0.0)).eval()
    ids = torch.randint(4, len(WORDS), (2, 7), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(model.base_model(ids).last_hidden_state, stock.base_model(ids).last_hidden_state)
    assert first(made)["runs"][0]["n_dev"] == 150


@pytest.mark.parametrize(("finished", "name"), [("bert", "SQuAD2.0"), ("gpt2", "SQuAD1.1")], indirect=["finished"])
def test_it_learns_to_find_across_windows(finished: Path, name: str, request: pytest.FixtureRequest) -> None:
    made = study(finished, name, request.node.callspec.params["finished"])
    squad.check(made)
    record = first(made)
    run = record["runs"][0]
    assert record["suite"] == "SQuAD" and run["main_metric"] == "f1" and run["subset"] and not run["failed"]
    assert run["score"] == run["metrics"]["f1"] > 0.95 and run["metrics"]["exact_match"] > 0.95
    assert (run["n_train"], run["n_dev"]) == (1000, 150)
    assert run["majority"] == pytest.approx(1 / 3 if name == "SQuAD2.0" else 0)
    assert ("best_f1" in run["metrics"]) == (name == "SQuAD2.0")


def test_a_run_that_learns_nothing_is_marked_and_a_grid_holds_every_rate(finished: Path) -> None:
    made = study(finished, "SQuAD2.0", protocol="grid", lr=[1e-9, 1e-3], epochs=1, seeds=[0, 1], max_train=64)
    record = first(made)
    assert record["protocol"] == "grid"
    assert [(run["lr"], run["seed"]) for run in record["runs"]] == [(1e-9, 0), (1e-9, 1), (1e-3, 0), (1e-3, 1)]
    assert any(run["failed"] for run in record["runs"]) and all(run["n_train"] == 64 for run in record["runs"])


@pytest.mark.parametrize(
    ("name", "values", "wanted"),
    [
        ("SQuAD1.1", layout([ask("q", "a")]), "use SQuAD2.0"),
        ("SQuAD2.0", layout([ask("q", "a", "a")]), "use SQuAD1.1"),
        ("SQuAD1.1", {"data": []}, "holds no questions"),
        ("SQuAD1.1", {"version": 1}, "not in SQuAD's layout"),
        ("SQuAD1.1", [], "not in SQuAD's layout"),
        ("SQuAD1.1", "{", "not JSON"),
        ("SQuAD1.1", None, "cannot be read"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, name: str, values: Any, wanted: str) -> None:
    path = tmp_path / squad.FOLDERS[name] / "train.json"
    path.parent.mkdir()
    if values is not None:
        path.write_text(values if isinstance(values, str) else json.dumps(values))
    with pytest.raises(GrowBenchError, match=wanted) as caught:
        squad.check(study(tmp_path, name))
    assert "\n" not in str(caught.value) and "train.json" in str(caught.value)


def test_the_hub_s_rows_are_the_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = [
        {"id": "1", "question": "q", "context": "x y", "answers": {"text": ["y", "x y"], "answer_start": [2, 0]}},
        {"id": "2", "question": "q", "context": "x y", "answers": {"text": [], "answer_start": []}},
    ]
    asked = []
    monkeypatch.setattr("datasets.load_dataset", lambda name: asked.append(name) or {"train": rows, "validation": rows})
    made = study(tmp_path, "SQuAD2.0")
    object.__setattr__(made.tasks, "source", "hub")
    task, train, dev = squad.load("SQuAD2.0", made)
    assert asked == ["rajpurkar/squad_v2"] and task.subset and train == dev
    assert train == [Question("1", "q", "x y", ("y", "x y"), 2), Question("2", "q", "x y", (), 0)]


@pytest.mark.parametrize(
    ("family", "changes", "wanted"),
    [
        ("vit", {}, "vit is trained"),
        ("bert", {"doc_stride": 5}, "finetune.doc_stride: 5 is more than the 4 tokens"),
        ("bert", {"lr": [1e-3, 1e-4]}, "finetune.lr: a list, but finetune.protocol is single"),
        ("bert", {"protocol": "grid"}, "is no list"),
        ("bert", {"tasks": {"SQuAD": {}}}, "finetune.tasks.SQuAD: not one of tasks.names"),
        ("bert", {"tasks": {"SQuAD1.1": {"lr": [1e-3, 1e-4]}}}, "finetune.tasks.SQuAD1.1.lr: a list"),
        ("bert", {"tasks": {"SQuAD1.1": {"points": [1.0]}}}, "finetune.tasks.SQuAD1.1.points: unknown key"),
        ("bert", {"tasks": {"SQuAD1.1": {"max_length": 8}}}, "use a longer max_length"),
    ],
)
def test_what_cannot_be_is_refused_before_any_job(tmp_path: Path, family: str, changes: Any, wanted: str) -> None:
    with pytest.raises(GrowBenchError, match=wanted) as caught:
        study(tmp_path, "SQuAD1.1", family, **changes)
    assert "\n" not in str(caught.value)


def test_a_task_s_own_settings_count_and_only_where_they_are_used() -> None:
    plain = config.load(ROOT / "config/mini.yaml")
    assert not {"protocol", "doc_stride", "answer_length", "own"} & set(plain.finetuned_part())
    own = {"lr": "5e-5", "max_length": 384}
    more = config.load(
        ROOT / "config/mini.yaml",
        {"tasks": {"names": ["CoLA", "SQuAD1.1"]}, "finetune": {"doc_stride": 128, "tasks": {"SQuAD1.1": own}}},
    )
    assert more.finetune.of("SQuAD1.1").rates == (5e-5,) and more.finetune.of("CoLA").rates == (5e-4,)
    assert more.target_spec(100).max_length == 384 and more.finetune.of("CoLA").max_length == 64
    assert more.finetuned_part()["own"]["SQuAD1.1"] == {"lr": 5e-5, "max_length": 384}
    assert more.finetuned_part()["doc_stride"] == 128
