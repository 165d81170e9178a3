"""Zero-shot evaluation as a whole: known probabilities give known metrics, and last words are scored on their own."""

import json
import logging
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import signed
from support.testsets import Table, certain, letters, put, study

from growbench import families
from growbench.errors import GrowBenchError
from growbench.pipeline.corpus import plain
from growbench.pipeline.corpus.plain import PlainTokenizer
from growbench.pipeline.zeroshot import run as zeroshot
from growbench.pipeline.zeroshot.likelihood import Likelihood, score
from growbench.pipeline.zeroshot.tokenized import measured, prepare
from growbench.records.layout import Layout
from growbench.runtime import durable
from growbench.spec import ModelSpec
from growbench.tasks import language
from growbench.train import checkpoint
from growbench.train.device import CPU

LAYOUT = Layout("tiny")


def finished(folder: Path, vocab: int, zero: bool = True) -> None:
    """A gpt2 whose head is zero, so that every token has probability 1 / vocab; as a run would have left it."""
    family = families.load("gpt2")
    spec = ModelSpec(family="gpt2", layers=1, hidden=16, heads=2, ffn=32, vocab=vocab, max_length=16)
    model = family.build(family.config(spec, **family.dropout(0.0)))
    if zero:
        torch.nn.init.zeros_(model.get_output_embeddings().weight)
    checkpoint.save_model(folder, model, {})


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    fast = letters(LAYOUT.tokenizer)
    finished(LAYOUT.run("scratch", 0).point("p100"), len(fast))
    put(tmp_path, "PTB", " ab <unk> \n cde N \n")
    put(tmp_path, "LAMBADA", "a b c dd\nb " + "a" * 40 + " ee\n")
    return tmp_path


def evaluate(made: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    signed.sign(made)
    path = zeroshot.run(made, "scratch", [0], ["p100"])[0]
    assert path == LAYOUT.zeroshot_record("scratch", 0, "p100")
    values = json.loads(path.read_text())
    return values, {run["task"]: run for run in values["runs"]}


@pytest.mark.parametrize("stride", [1, 5, 14])
def test_a_uniform_model_s_perplexity_is_its_vocabulary_and_per_word_a_power_of_it(tree: Path, stride: int) -> None:
    values, runs = evaluate(study(tree, "PTB", stride=stride))
    found, tokens, words = runs["PTB"], len(" ab <unk> \n cde N \n"), 4
    assert (found["n_tokens"], found["n_words"], found["n_lines"], found["n_unknown"]) == (tokens, words, 2, 0)
    assert found["metrics"]["perplexity"] == pytest.approx(261, rel=1e-5)
    assert found["metrics"]["word_perplexity"] == pytest.approx(261 ** (tokens / words), rel=1e-4)
    assert found["metrics"]["word_perplexity_eos"] == pytest.approx(261 ** (tokens / (words + 2)), rel=1e-4)
    assert found["score"] == found["metrics"]["word_perplexity"] and found["subset"] and not found["failed"]
    assert values["window"] == {"length": 16, "stride": stride, "context": 16 - stride}
    assert values["tokenisation"]["unknown_word"] == ["<", "u", "n", "k", ">"]
    assert values["tokenisation"]["letter_case"] and values["tokenisation"]["line_ends"]


def test_what_a_tokenizer_loses_is_recorded_and_unk_is_never_a_special_token(tree: Path) -> None:
    shutil.rmtree(LAYOUT.tokenizer)
    fast = letters(LAYOUT.tokenizer, unk="<unk>", lowercase=True)
    assert len(fast("<unk>", add_special_tokens=False)["input_ids"]) == 1
    finished(LAYOUT.run("scratch", 0).point("p100"), len(fast))
    values, runs = evaluate(study(tree, "PTB"))
    assert runs["PTB"]["n_unknown"] == 0 and runs["PTB"]["n_tokens"] == len(" ab <unk> \n cde N \n")
    assert not values["tokenisation"]["letter_case"] and len(values["tokenisation"]["unknown_word"]) == 5


@pytest.mark.parametrize("name", ["PTB", "LAMBADA"])
def test_a_text_begins_as_a_training_sequence_and_follows_the_token_that_ends_a_document(tree: Path, name: str) -> None:
    made, tokenizer = study(tree, name), PlainTokenizer(letters(tree / "tokenizer"))
    cut = prepare(made, tokenizer, language.load(name, made)).windows
    assert cut[0].ids[1] == tokenizer.fast.sep_token_id
    assert all(w.ids[0] == tokenizer.fast.cls_token_id and len(w.ids) <= made.objective.length for w in cut)


def test_last_words_are_scored_alone_and_long_passages_keep_their_end(tree: Path) -> None:
    found = evaluate(study(tree, "PTB", "LAMBADA"))[1]["LAMBADA"]
    assert (found["n_tokens"], found["n_words"], found["n_cut"]) == (6, 2, 1)
    assert found["metrics"]["word_perplexity"] == pytest.approx(261**3, rel=1e-4)
    assert found["metrics"]["accuracy"] == 0 and found["main_metric"] == "accuracy"
    made, tokenizer = study(tree, "LAMBADA"), PlainTokenizer(letters(tree / "tokenizer"))
    long = prepare(made, tokenizer, language.load("LAMBADA", made)).windows[1]
    assert tokenizer.fast.decode(long.ids).replace(" ", "").endswith("aee") and len(long.ids) == 16
    put(tree, "LAMBADA", "a b\nc dddddd\n")
    with pytest.raises(
        GrowBenchError, match=r"last word of LAMBADA's passage 2 is 7 tokens, but a window of 8 scores 6"
    ):
        evaluate(study(tree, "LAMBADA", length=8))


def test_a_last_word_is_right_when_all_of_its_tokens_are_the_most_likely(tmp_path: Path) -> None:
    """A chain c -> space -> a -> b: ` ab` follows c; ` ac` and ` bb` differ in one token, and no space follows d."""
    fast = letters(tmp_path / "tokenizer")
    put(tmp_path, "LAMBADA", "ddc ab\nddc ac\nddc bb\nddd ab\nc c ab\n")
    a, b, c, space = (fast.encode(x, add_special_tokens=False)[0] for x in ("a", "b", "c", " "))
    made = study(tmp_path, "LAMBADA")
    test = prepare(made, PlainTokenizer(fast), language.load("LAMBADA", made))
    table = certain(len(fast), {c: space, space: a, a: b})
    parts = score(Table(), table, test.windows, 2, CPU)  # type: ignore[arg-type]
    assert [p.right.all() for p in parts] == [True, False, False, False, True]
    found = measured(test, parts)
    assert found["score"] == pytest.approx(2 / 5)
    known = sum(float(-table[x, y]) for x, y in ((c, space), (space, a), (a, b)))
    assert parts[0].nats.sum() == pytest.approx(known, rel=1e-5)
    test.unknown[0] = 1
    assert measured(test, parts)["score"] == pytest.approx(1 / 5), "an unknown word cannot be right"


def test_nats_that_are_not_finite_fail_and_stay_in_the_record(tree: Path) -> None:
    made = study(tree, "PTB")
    test = prepare(made, plain.load(LAYOUT.tokenizer), language.load("PTB", made))
    broken = [Likelihood(np.full(w.scored, math.nan), np.zeros(w.scored, dtype=bool)) for w in test.windows]
    found = measured(test, broken)
    assert found["failed"] and found["nats"] is None and found["score"] is None
    json.dumps(found, allow_nan=False)


def test_an_unfinished_point_is_refused(tree: Path) -> None:
    with pytest.raises(GrowBenchError, match="p40"):
        zeroshot.run(study(tree, "PTB"), "scratch", [0], ["p40"])


def test_the_record_names_what_it_was_made_from_and_a_changed_file_is_reported(tree: Path, caplog: Any) -> None:
    path = put(tree, "PTB", " ab <unk> \n cde N \n")
    before, _ = evaluate(study(tree, "PTB"))
    point = LAYOUT.run("scratch", 0).point("p100")
    assert before["made_from"]["tasks"] == {"PTB": {"test": durable.digest(path)}}
    assert before["made_from"]["model"] == durable.digest(point / "model.safetensors")
    put(tree, "PTB", " ab <unk> \n cdef N \n")
    with caplog.at_level(logging.INFO):
        after, _ = evaluate(study(tree, "PTB"))
    assert "the task files (PTB) changed since; made again" in caplog.text
    assert after["made_from"] != before["made_from"] and after["runs"][0]["nats"] != before["runs"][0]["nats"]
