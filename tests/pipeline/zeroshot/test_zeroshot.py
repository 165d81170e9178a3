"""Zero-shot evaluation against constructed truths: known probabilities, known words, official counts."""

import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import helpers
from transformers import PreTrainedTokenizerFast

from growbench import families
from growbench.errors import GrowBenchError
from growbench.pipeline.corpus import tokenizer as trained
from growbench.pipeline.zeroshot import likelihood
from growbench.pipeline.zeroshot import run as zeroshot
from growbench.pipeline.zeroshot.likelihood import Window, score, windows
from growbench.records.layout import Layout
from growbench.spec import ModelSpec
from growbench.tasks import language
from growbench.train import checkpoint

CAUSAL = [name for name in families.names() if families.load(name).objective == "clm"]
CPU = torch.device("cpu")


def study(folder: Path | None, *names: str, length: int = 16, stride: int = 5, **changes: Any) -> Any:
    settings = {
        "source": "local",
        "names": names,
        "points": (1.0,),
        "stride": stride,
        "batch": 3,
        "threads": 1,
        **changes,
    }
    return SimpleNamespace(
        study="tiny",
        layout=Layout("tiny"),
        trained_part=dict,
        data=SimpleNamespace(dir=folder),
        corpus=SimpleNamespace(tokenizer="bpe", tokenizer_name=None),
        objective=SimpleNamespace(length=length, kind="clm"),
        target=SimpleNamespace(family="gpt2"),
        zeroshot=SimpleNamespace(**settings),
        zeroshot_part=lambda: settings,
    )


def put(folder: Path, name: str, text: str) -> Path:
    path = folder / language.OFFICIAL[name].file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    return path


class Table:
    """A family whose model is a table of log-probabilities [previous id, next id]: nothing but the last id matters."""

    def encode(self, model: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(inputs, len(model)).double()

    def head(self, model: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        return hidden @ model


def certain(vocab: int, following: dict[int, int]) -> torch.Tensor:
    """A table in which the given ids are the likeliest after their keys, and id 0 after all others."""
    table = torch.zeros(vocab, vocab, dtype=torch.float64)
    for before in range(vocab):
        table[before, following.get(before, 0)] = 2.0
    return table.log_softmax(-1)


# Text


def test_official_files_are_told_from_subsets_by_their_counts(tmp_path: Path) -> None:
    known = language.OFFICIAL["PTB"]
    assert known.words is not None and known.words + known.lines == 82_430
    wikitext = language.OFFICIAL["WikiText-2"]
    assert wikitext.words is not None and wikitext.words + wikitext.lines == 245_569
    lines = [" a \n"] * (known.lines - 1) + [" b" * (known.words - known.lines + 1) + " \n"]
    put(tmp_path, "PTB", "".join(lines))
    text = language.load("PTB", study(tmp_path))
    assert not text.subset and text.words == 78_669 and len(text.lines) == 3_761
    put(tmp_path, "PTB", "".join(lines[1:]))
    assert language.load("PTB", study(tmp_path)).subset
    put(tmp_path, "LAMBADA", "some words here\n" * 5_153)
    assert not language.load("LAMBADA", study(tmp_path)).subset


def test_running_text_is_the_file_s_bytes(tmp_path: Path) -> None:
    words = " \n = A <unk> = \n \n x\x85y\u2028z @-@ \n"
    path = put(tmp_path, "WikiText-2", words)
    text = language.load("WikiText-2", study(tmp_path))
    assert text.running == path.read_text(encoding="utf-8") and len(text.lines) == 4


def test_a_passage_is_cut_before_its_last_word(tmp_path: Path) -> None:
    put(tmp_path, "LAMBADA", "he said `` go home ''  there \n\nshe left\n")
    text = language.load("LAMBADA", study(tmp_path))
    assert text.passages == [("he said `` go home '' ", " there"), ("she", " left")]
    assert text.words == 2


def test_the_hub_s_rows_are_the_file_s_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "WikiText-2", " \n = A = \n \n b c \n")
    asked = []

    def stand_in(*words: Any, **named: Any) -> list[dict[str, str]]:
        asked.append((words, named))
        return [{"text": t} for t in ("", " = A = \n", "", " b c \n")]

    monkeypatch.setattr(datasets, "load_dataset", stand_in)
    here, there = (language.load("WikiText-2", study(tmp_path, source=s)) for s in ("local", "hub"))
    assert here == there
    assert asked == [(("Salesforce/wikitext", "wikitext-2-v1"), {"split": "test", "revision": None})]
    monkeypatch.setattr(datasets, "load_dataset", lambda *w, **k: 1 / 0)
    with pytest.raises(GrowBenchError, match=r"WikiText-2 cannot be downloaded .*division by zero"):
        language.load("WikiText-2", study(tmp_path, source="hub"))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("PTB", None, "No such file"),
        ("PTB", " \n\n", "holds no words"),
        ("LAMBADA", "one two\nthree\n", "passage 2 has no word before the last one"),
    ],
)
def test_bad_files_are_one_line(tmp_path: Path, name: str, text: str | None, words: str) -> None:
    if text is not None:
        put(tmp_path, name, text)
    with pytest.raises(GrowBenchError, match=words) as caught:
        language.check(study(tmp_path, name))
    assert "\n" not in str(caught.value) and "official file" in str(caught.value)
    with pytest.raises(GrowBenchError, match=r"data\.dir: not set"):
        language.check(study(None, name))


# Windows


@given(st.integers(1, 80), st.integers(1, 20), st.data())
def test_every_token_is_scored_once_with_the_stated_context(total: int, length: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, length))
    ids = np.arange(total + 1)
    cut = windows(ids, length, stride)
    assert np.concatenate([w.ids[len(w.ids) - w.scored :] for w in cut]).tolist() == list(range(1, total + 1))
    assert all(len(w.ids) - 1 <= length for w in cut)
    assert all((np.diff(w.ids) == 1).all() for w in cut)
    assert all(len(w.ids) - w.scored >= length - stride + 1 for w in cut[1:])
    assert all(w.scored == stride for w in cut[1:-1])


# Likelihood


@pytest.mark.parametrize("stride", [1, 3, 8])
@pytest.mark.parametrize("batch", [1, 4])
def test_known_probabilities_give_their_perplexity_whatever_the_stride(stride: int, batch: int) -> None:
    rng = np.random.default_rng(0)
    table = torch.from_numpy(rng.normal(size=(7, 7))).log_softmax(-1)
    ids = rng.integers(0, 7, 50)
    parts = score(Table(), table, windows(ids, 8, stride), batch, CPU)  # type: ignore[arg-type]
    wanted = -table.numpy()[ids[:-1], ids[1:]]
    assert np.concatenate([p.nats for p in parts]) == pytest.approx(wanted, abs=1e-5)
    right = table.numpy().argmax(-1)[ids[:-1]] == ids[1:]
    assert np.concatenate([p.right for p in parts]).tolist() == right.tolist()


@pytest.mark.parametrize("name", CAUSAL)
def test_a_family_s_nats_are_its_stock_loss(name: str) -> None:
    """One window: the loss that transformers computes from labels; and padding beside a longer row changes nothing."""
    family, spec = families.load(name), helpers.SPECS[name]
    model = helpers.perturbed(family, spec, dtype=torch.float32)
    ids = helpers.token_ids(spec)[:, :11]
    cut = [Window(row.numpy(), 10) for row in ids]
    parts = score(family, model, cut, 2, CPU)
    with torch.no_grad():
        wanted = [float(model(input_ids=row[None], labels=row[None]).loss) for row in ids]
    assert [p.nats.mean() for p in parts] == pytest.approx(wanted, rel=1e-4)
    mixed = score(family, model, [cut[0], Window(ids[1, :5].numpy(), 2), cut[2]], 3, CPU)
    assert mixed[0].nats == pytest.approx(parts[0].nats, rel=1e-4)
    assert mixed[1].nats == pytest.approx(parts[1].nats[2:4], rel=1e-4)


def test_more_context_than_a_window_is_never_read() -> None:
    """A causal model scored at stride 1 gives each token what it gives at the end of a full window of its own."""
    family, spec = families.load("gpt2"), helpers.SPECS["gpt2"]
    model = helpers.perturbed(family, spec, dtype=torch.float32)
    ids = np.random.default_rng(1).integers(0, spec.vocab, 20)
    parts = score(family, model, windows(ids, 6, 1), 4, CPU)
    alone = [score(family, model, [Window(ids[i - 6 : i + 1], 1)], 1, CPU)[0].nats[0] for i in range(7, 20)]
    assert [p.nats[0] for p in parts[1:]] == pytest.approx(alone, rel=1e-4)


@pytest.mark.parametrize("name", CAUSAL)
def test_right_is_what_greedy_decoding_writes(name: str) -> None:
    family, spec = families.load(name), helpers.SPECS[name]
    model = helpers.perturbed(family, spec, dtype=torch.float32)
    given = helpers.token_ids(spec)[:1, :7]
    written = model.generate(  # type: ignore[operator]
        given,
        attention_mask=torch.ones_like(given),
        do_sample=False,
        min_new_tokens=3,
        max_new_tokens=3,
        eos_token_id=None,
    )[0].numpy()
    assert score(family, model, [Window(written, 3)], 1, CPU)[0].right.all()
    for place in (7, 9):
        other = written.copy()
        other[place] = (other[place] + 1) % spec.vocab
        right = score(family, model, [Window(other, 3)], 1, CPU)[0].right
        assert not right[place - 7] and right[: place - 7].all()


def test_logits_are_never_held_for_more_than_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    table = certain(5, {1: 2, 2: 3})
    ids = np.random.default_rng(0).integers(0, 5, 60)
    whole = score(Table(), table, windows(ids, 20, 7), 8, CPU)  # type: ignore[arg-type]
    monkeypatch.setattr(likelihood, "ROWS", 4)
    sliced = score(Table(), table, windows(ids, 20, 7), 8, CPU)  # type: ignore[arg-type]
    assert all((a.nats == b.nats).all() for a, b in zip(whole, sliced, strict=True))


# Whole runs


def letters(folder: Path, unk: str = "[UNK]", **special: Any) -> PreTrainedTokenizerFast:
    """A tokenizer in which every byte is a token; saved where a corpus leaves it."""
    core = trained.train("bpe", ["x"], 256 + 5, special.pop("lowercase", False))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token=unk, sep_token="[SEP]", pad_token="[PAD]", **special
    )
    fast.save_pretrained(str(folder))
    return fast


def finished(folder: Path, vocab: int, zero: bool = True) -> None:
    """A gpt2 whose head is zero, so that every token has probability 1 / vocab; as a run would have left it."""
    family = families.load("gpt2")
    spec = ModelSpec(family="gpt2", layers=1, hidden=16, heads=2, ffn=32, vocab=vocab, max_length=16)
    model = family.build(family.config(spec, **family.dropout(0.0)))
    if zero:
        torch.nn.init.zeros_(model.get_output_embeddings().weight)
    checkpoint.save_model(folder, model)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    fast = letters(Path("results/tiny/corpus/tokenizer"))
    finished(Path("results/tiny/runs/scratch-s0/points/p100"), len(fast))
    put(tmp_path, "PTB", " ab <unk> \n cde N \n")
    put(tmp_path, "LAMBADA", "a b c dd\nb " + "a" * 40 + " ee\n")
    return tmp_path


def evaluate(made: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    path = zeroshot.run(made, "scratch", [0], ["p100"])[0]
    assert path == Path("results/tiny/records/zeroshot/scratch-s0-p100.json")
    values = json.loads(path.read_text())
    return values, {run["task"]: run for run in values["runs"]}


@pytest.mark.parametrize("stride", [1, 5, 16])
def test_a_uniform_model_s_perplexity_is_its_vocabulary_and_per_word_a_power_of_it(tree: Path, stride: int) -> None:
    values, runs = evaluate(study(tree, "PTB", stride=stride))
    found, tokens, words = runs["PTB"], len(" ab <unk> \n cde N \n"), 4
    assert (found["n_tokens"], found["n_words"], found["n_lines"], found["n_unknown"]) == (tokens, words, 2, 0)
    assert found["metrics"]["perplexity"] == pytest.approx(261, rel=1e-5)
    assert found["metrics"]["word_perplexity"] == pytest.approx(261 ** (tokens / words), rel=1e-4)
    assert found["metrics"]["word_perplexity_eos"] == pytest.approx(261 ** (tokens / (words + 2)), rel=1e-4)
    assert found["score"] == found["metrics"]["word_perplexity"] and found["subset"] and not found["failed"]
    assert values["window"] == {"length": 16, "stride": stride, "context": 17 - stride}
    assert values["tokenisation"]["unknown_word"] == ["<", "u", "n", "k", ">"]
    assert values["tokenisation"]["letter_case"] and values["tokenisation"]["line_ends"]


def test_what_a_tokenizer_loses_is_said_and_unk_is_never_a_special_token(tree: Path) -> None:
    shutil.rmtree("results/tiny/corpus/tokenizer")
    fast = letters(Path("results/tiny/corpus/tokenizer"), unk="<unk>", lowercase=True)
    assert len(fast("<unk>", add_special_tokens=False)["input_ids"]) == 1
    finished(Path("results/tiny/runs/scratch-s0/points/p100"), len(fast))
    values, runs = evaluate(study(tree, "PTB"))
    assert runs["PTB"]["n_unknown"] == 0 and runs["PTB"]["n_tokens"] == len(" ab <unk> \n cde N \n")
    assert not values["tokenisation"]["letter_case"] and len(values["tokenisation"]["unknown_word"]) == 5


def test_last_words_are_scored_alone_and_long_passages_keep_their_end(tree: Path) -> None:
    found = evaluate(study(tree, "PTB", "LAMBADA"))[1]["LAMBADA"]
    assert (found["n_tokens"], found["n_words"], found["n_cut"]) == (6, 2, 1)
    assert found["metrics"]["word_perplexity"] == pytest.approx(261**3, rel=1e-4)
    assert found["metrics"]["accuracy"] == 0 and found["main_metric"] == "accuracy"
    with pytest.raises(GrowBenchError, match=r"last word of LAMBADA's passage 1 is 3 tokens, and a model reads 2"):
        evaluate(study(tree, "LAMBADA", length=2, stride=1))


def test_a_last_word_is_right_when_all_of_its_tokens_are_the_likeliest(tmp_path: Path) -> None:
    """A chain c -> blank -> a -> b: ` ab` follows c; ` ac` and ` bb` differ in one token, and after d no blank comes."""
    fast = letters(tmp_path / "tokenizer")
    put(tmp_path, "LAMBADA", "ddc ab\nddc ac\nddc bb\nddd ab\nc c ab\n")
    a, b, c, blank = (fast.encode(x, add_special_tokens=False)[0] for x in ("a", "b", "c", " "))
    made = study(tmp_path, "LAMBADA")
    ready = zeroshot.prepare(made, fast, language.load("LAMBADA", made))
    table = certain(len(fast), {c: blank, blank: a, a: b})
    parts = score(Table(), table, ready.windows, 2, CPU)  # type: ignore[arg-type]
    assert [p.right.all() for p in parts] == [True, False, False, False, True]
    found = zeroshot.measured(ready, parts)
    assert found["score"] == pytest.approx(2 / 5)
    known = sum(float(-table[x, y]) for x, y in ((c, blank), (blank, a), (a, b)))
    assert parts[0].nats.sum() == pytest.approx(known, rel=1e-5)
    ready.unknown[0] = 1
    assert zeroshot.measured(ready, parts)["score"] == pytest.approx(1 / 5), "an unknown word cannot be right"


def test_nats_that_are_not_finite_fail_and_stay_in_the_record(tree: Path) -> None:
    made = study(tree, "PTB")
    ready = zeroshot.prepare(
        made, zeroshot._tokenizer(Path("results/tiny/corpus/tokenizer")), language.load("PTB", made)
    )
    broken = [likelihood.Scored(np.full(w.scored, math.nan), np.zeros(w.scored, dtype=bool)) for w in ready.windows]
    found = zeroshot.measured(ready, broken)
    assert found["failed"] and found["nats"] is None and found["score"] is None
    json.dumps(found, allow_nan=False)


def test_an_unfinished_point_is_refused(tree: Path) -> None:
    with pytest.raises(GrowBenchError, match="p40"):
        zeroshot.run(study(tree, "PTB"), "scratch", [0], ["p40"])
