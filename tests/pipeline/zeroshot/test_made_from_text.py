"""Test sets that are made from held-out text, through the whole step: causal and masked models, and what changes a record."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from support import signed, tiny
from support.testsets import letters, study

from growbench import families
from growbench.errors import GrowBenchError
from growbench.pipeline.corpus import held_out, plain
from growbench.pipeline.zeroshot import domains
from growbench.pipeline.zeroshot import run as zeroshot
from growbench.records import outcomes, record
from growbench.records.layout import Layout
from growbench.spec import ModelSpec
from growbench.tasks.domains import Domain
from growbench.tasks.pairs import EXCHANGES
from growbench.train import checkpoint

LAYOUT = Layout("tiny")
LEAD = [word for pair in EXCHANGES for word in pair]
DOCUMENTS = [f"One {LEAD[n % 10]} cat {n % 7} saw b{'c' * (n % 5)} here.\nNo stop" for n in range(200)]


def write(documents: list[str], vocab: int) -> None:
    keeper = held_out.Keeper(LAYOUT.corpus / held_out.FILE)
    for number, text in enumerate(documents):
        keeper.add(number, text)
    tiny.sign(LAYOUT.corpus, vocab=vocab, held_out=keeper.close())


def prepared(family: str, *names: str) -> Any:
    """A study with its corpus' text and tokenizer, in which every byte is a token, and an untrained finished point."""
    fast = letters(LAYOUT.tokenizer, mask_token="[MASK]")
    write(DOCUMENTS, len(fast))
    built = families.load(family)
    spec = ModelSpec(family=family, layers=1, hidden=16, heads=2, ffn=32, vocab=len(fast), max_length=64)
    model = built.build(built.config(spec, **built.dropout(0.0)))
    checkpoint.save_model(LAYOUT.run("scratch", 0).point("p100"), model, {})
    return study(None, *names, length=48, family=family)


def evaluate(made: Any) -> dict[str, Any]:
    signed.sign(made)
    path = zeroshot.run(made, "scratch", [0], ["p100"])[0]
    return record.read(path, "zeroshot", "scratch", 0, "p100")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_an_untrained_model_is_right_about_half_of_the_pairs(family: str) -> None:
    values = evaluate(prepared(family, "pairs"))
    found = values["runs"][0]
    assert found["n_pairs"] > 60 and not found["failed"] and abs(found["score"] - 0.5) < 0.25
    for kind, kept in found["outcomes"].items():
        assert outcomes.unpacked(kept).mean() == pytest.approx(found["metrics"][kind])
    assert sum(kept["n"] for kept in found["outcomes"].values()) == found["n_pairs"]
    assert found["metrics"]["accuracy"] == pytest.approx(sum(found["metrics"][k] for k in found["outcomes"]) / 8)
    assert found["error"] == pytest.approx(0.5 / math.sqrt(found["n_pairs"]), rel=0.2)


@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_a_model_that_learns_the_text_tells_right_from_wrong(family: str) -> None:
    made = prepared(family, "pairs")
    before = evaluate(made)["runs"][0]["score"]
    folder, built = LAYOUT.run("scratch", 0).point("p100"), families.load(family)
    model = built.model_class().from_pretrained(folder).train()
    optimizer, rng = torch.optim.Adam(model.parameters(), 1e-2), torch.Generator().manual_seed(0)
    tokenizer = plain.load(LAYOUT.tokenizer)
    special = {name: getattr(tokenizer.fast, f"{name}_token_id") for name in ("cls", "sep", "mask")}
    first = [special["cls"]] if family == "bert" else [special["cls"], special["sep"]]
    rows = [[*first, *tokenizer.text(text.split("\n")[0])[0], special["sep"]] for text in DOCUMENTS]
    length = min(map(len, rows))
    ids = torch.tensor([row[:length] for row in rows])
    for _ in range(120):
        given, labels = ids.clone(), ids.clone()
        if family == "bert":
            hidden = torch.rand(ids.shape, generator=rng) < 0.2
            given[hidden], labels[~hidden] = special["mask"], -100
        loss = model(input_ids=given, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    checkpoint.save_model(folder, model, {})
    after = evaluate(made)["runs"][0]["score"]
    assert after > 0.6 and after > before + 0.05


def test_bits_per_byte_of_a_uniform_model_are_those_of_its_vocabulary() -> None:
    made = prepared("gpt2", "bytes/held-out")
    folder, family = LAYOUT.run("scratch", 0).point("p100"), families.load("gpt2")
    model = family.model_class().from_pretrained(folder)
    torch.nn.init.zeros_(model.get_output_embeddings().weight)
    checkpoint.save_model(folder, model, {})
    found = evaluate(made)["runs"][0]
    texts = list(dict.fromkeys(DOCUMENTS))
    assert found["n_bytes"] == found["n_tokens"] == sum(len(text.encode()) for text in texts)
    assert found["metrics"] == {"bits_per_byte": pytest.approx(math.log2(model.config.vocab_size), rel=1e-5)}
    assert found["n_lines"] == len(texts) and found["main_metric"] == "bits_per_byte"


def test_every_text_of_a_domain_is_read_on_its_own() -> None:
    tokenizer = plain.PlainTokenizer(letters(LAYOUT.tokenizer))
    made = domains.prepare(Domain("bytes/x", ["ab", "cde"], False, {}), tokenizer, 16, 8)
    before = [tokenizer.fast.cls_token_id, tokenizer.fast.sep_token_id]
    assert [(window.ids[:2].tolist(), window.scored) for window in made.windows] == [(before, 2), (before, 3)]


def test_other_text_is_another_test_set_and_the_same_text_is_the_same() -> None:
    made = prepared("gpt2", "pairs")
    first = evaluate(made)
    assert evaluate(made)["made_from"] == first["made_from"]
    write(DOCUMENTS[:40], made.corpus.vocab)
    assert evaluate(made)["made_from"]["tasks"] != first["made_from"]["tasks"]


def test_a_corpus_without_held_out_text_or_with_other_text_is_refused_in_one_line() -> None:
    made = prepared("gpt2", "pairs")
    (LAYOUT.corpus / held_out.FILE).write_text(json.dumps("other") + "\n")
    with pytest.raises(GrowBenchError, match=r"held_out\.jsonl: its SHA-256 does not match .*run `growbench corpus"):
        evaluate(made)
    tiny.sign(LAYOUT.corpus)
    with pytest.raises(GrowBenchError, match=r"held_out\.jsonl: this corpus was made without held-out text"):
        evaluate(made)
    write(["no sentence"], 64)
    with pytest.raises(GrowBenchError, match="pairs need held-out sentences"):
        evaluate(made)
