"""Text is text: no text becomes a special token, whatever the tokenizer."""

from pathlib import Path

import numpy as np
import pytest
from support import local_text
from support.local_text import DOCUMENTS, built, write
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

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
