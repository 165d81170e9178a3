"""Text is text: no text becomes a special token, whatever the tokenizer."""

from pathlib import Path

import numpy as np
import pytest
from support import local_text
from support.local_text import DOCUMENTS, built, write
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus import plain
from growbench.pipeline.corpus import tokenizer as trained
from growbench.pipeline.corpus.tokenizer import SPECIAL
from growbench.records.layout import Layout

HOSTILE = "[MASK] [CLS] [SEP] [PAD] [UNK]"
TEXT = "\n\n".join(f"{text} {HOSTILE} [MASK][SEP]" for text in DOCUMENTS)
TOKENIZER = Layout("demo").tokenizer


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "data/a.txt", TEXT)


def unigram(folder: Path, unk: bool = True) -> None:
    """Save a tokenizer whose model has the names of special tokens among its pieces, as sentencepiece's do."""
    pieces = (
        [(token, 0.0) for token in SPECIAL.values()] + [(chr(c), -5.0) for c in range(33, 127)] + [("\u2581", -3.0)]
    )
    core = Tokenizer(models.Unigram(pieces, unk_id=1 if unk else None))
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    names = {f"{key}_token": token for key, token in SPECIAL.items() if unk or key != "unk"}
    PreTrainedTokenizerFast(tokenizer_object=core, **names).save_pretrained(str(folder))


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "pretrained"])
@pytest.mark.parametrize("lowercase", [True, False])
def test_a_corpus_holds_no_special_token_but_the_separators(tmp_path: Path, kind: str, lowercase: bool) -> None:
    unigram(tmp_path / "named")
    named = {"tokenizer_name": str(tmp_path / "named"), "lowercase": False} if kind == "pretrained" else {}
    made = built(local_text.study(tmp_path, **{"tokenizer": kind, "vocab": 500, "lowercase": lowercase, **named}))
    special = made.manifest["special"]
    assert special == dict(zip(SPECIAL, range(5), strict=True)), "text that names them does not move their ids"
    for split in ("train", "valid"):
        ids = np.asarray(getattr(made, split))
        assert not {special["mask"], special["cls"], special["pad"]} & set(ids.tolist())
        assert np.count_nonzero(ids == special["sep"]) == made.manifest[split]["documents"]


def saved(kind: str) -> None:
    """Save a tokenizer as a corpus does; the words of `word` are those of the synthetic language."""
    core = trained.train(kind, DOCUMENTS if kind == "word" else [TEXT], 500, False)
    names = {f"{key}_token": token for key, token in SPECIAL.items()}
    PreTrainedTokenizerFast(tokenizer_object=core, **names).save_pretrained(str(TOKENIZER))


@pytest.mark.parametrize("kind", ["word", "wordpiece", "bpe"])
def test_the_saved_tokenizer_reads_rows_of_tasks_as_text(tmp_path: Path, kind: str) -> None:
    saved(kind)
    tokenizer = plain.load(TOKENIZER)
    one, two = (tokenizer.rows([f"x {HOSTILE}", "y"], [HOSTILE, HOSTILE])["input_ids"] for _ in range(2))
    assert one == two
    for ids in one:
        assert ids[0] == 2 and ids[-1] == 3
        assert [ids.count(number) for number in (0, 2, 3, 4)] == [0, 1, 2, 0]
    ids, spans = tokenizer.text(HOSTILE)
    assert not {0, 2, 3, 4} & set(ids) and len(spans) == len(ids)


def test_a_word_without_an_unknown_token_to_stand_for_it_is_one_line(tmp_path: Path) -> None:
    unigram(tmp_path / "named", unk=False)
    tokenizer = plain.load(tmp_path / "named")
    assert tokenizer.text("a b")[0]
    with pytest.raises(GrowBenchError, match=r"corpus.tokenizer: it reads '\[MASK\]' in a text as a special token"):
        tokenizer.text("a [MASK] b")


def test_a_folder_without_a_tokenizer_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(GrowBenchError, match="no tokenizer here"):
        plain.load(tmp_path / "nowhere")


def gpt(folder: Path, end: bool = True, begin: bool = False) -> None:
    """Save a byte-level tokenizer that adds nothing to a text, as GPT-2's does, or a first token alone, as Llama 2's."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.post_processor = processors.ByteLevel(trim_offsets=False)
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator([TEXT], trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<s>", "<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    ))  # fmt: skip
    if begin:
        pieces = [("<s>", core.token_to_id("<s>"))]
        core.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=pieces)
    names = {"eos_token": "<|end|>"} if end else {}
    PreTrainedTokenizerFast(tokenizer_object=core, **names).save_pretrained(str(folder))


@pytest.mark.parametrize("begin", [False, True])
def test_two_texts_stay_two_under_a_tokenizer_that_glues_them(tmp_path: Path, begin: bool) -> None:
    gpt(tmp_path / "gpt", begin=begin)
    stock, made = AutoTokenizer.from_pretrained(tmp_path / "gpt"), plain.load(tmp_path / "gpt")
    assert stock.decode(stock("the cat", "a dog")["input_ids"]).endswith("the cata dog"), "what is to be mended"
    out = made.rows(["the cat"], ["a dog"])
    assert made.fast.decode(out["input_ids"][0]) == ("<s>" if begin else "") + "the cat<|end|>a dog"
    one, other = (stock(text)["input_ids"][begin:] for text in ("the cat", "a dog"))
    end = stock.eos_token_id
    assert out["input_ids"][0][begin:] == [*one, end, *other]
    assert out["token_type_ids"][0] == [0] * (begin + len(one) + 1) + [1] * len(other)
    assert made.rows(["the cat"])["input_ids"] == [stock("the cat")["input_ids"]], "one text is as it was"
    short = made.rows(["the cat sees the dog " * 9], ["a dog"], truncation=True, max_length=20)["input_ids"][0]
    assert len(short) == 20 and short[-len(other) :] == other and short.count(end) == 1
    offsets = made.fast("the cat", "a dog", return_offsets_mapping=True)["offset_mapping"]
    assert offsets[-1][1] == len("a dog"), "answers are still found by their characters"


def test_without_a_token_to_stand_between_two_texts_pairs_are_refused(tmp_path: Path) -> None:
    gpt(tmp_path / "gpt", end=False)
    made = plain.load(tmp_path / "gpt")
    assert made.rows(["the cat"])["input_ids"]
    with pytest.raises(GrowBenchError, match="no sep and no end-of-text token to put between two texts"):
        made.rows(["the cat"], ["a dog"])


@pytest.mark.parametrize("kind", ["word", "wordpiece", "bpe"])
def test_a_tokenizer_that_keeps_texts_apart_is_left_alone(kind: str) -> None:
    saved(kind)
    stock, made = AutoTokenizer.from_pretrained(TOKENIZER), plain.load(TOKENIZER)
    assert made.backend.post_processor.__getstate__() == stock.backend_tokenizer.post_processor.__getstate__()
