"""`growbench grow` with an operator that is learned on a text."""

from pathlib import Path

import numpy as np
import pytest
from support.checkpoints import grow, headed, refusal
from support.helpers import SOURCE
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertModel, PreTrainedTokenizerFast

from growbench.pipeline.grow.report import lines

STEPS = ("steps=5", "operator_lr=0.05")


@pytest.fixture
def with_text(source: Path) -> Path:
    """A text beside a directory that has a tokenizer."""
    words = {word: number for number, word in enumerate(["[PAD]", "[CLS]", "[MASK]", "[UNK]", *"abcdefgh"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]", "unk_token": "[UNK]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(source)
    text = source.parent / "text.txt"
    letters = np.random.default_rng(0).choice(list("abcdefgh"), 2000, p=np.arange(1, 9) / 36)
    text.write_text(" ".join(letters))
    return text


def test_it_learns_on_the_text_and_reports_what_that_cost(source: Path, with_text: Path, tmp_path: Path) -> None:
    report = grow(source, tmp_path / "out", method="ligo", hidden=64, heads=4, text=with_text, options=STEPS)
    learned = report["learned"]
    assert learned["steps"] == 5 and learned["tokens"] == 5 * 16 * SOURCE.max_length
    assert learned["loss_after"] < learned["loss_before"]
    assert report["flops"] == learned["flops"] > 0 and report["target"]["hidden"] == 64
    assert "5 steps, 1,280 tokens" in lines(report, tmp_path / "out") and report["problem"] is None
    again = grow(source, tmp_path / "again", method="ligo", hidden=64, heads=4, text=with_text, options=STEPS)
    one, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("out", "again"))
    assert one == other and again["flops"] == report["flops"]
    start = grow(source, tmp_path / "start", method="ligo", hidden=64, heads=4, options=("steps=0",))
    assert start["flops"] == 0 and start["learned"] is None
    assert (tmp_path / "start/model.safetensors").read_bytes() != one


def test_what_cannot_be_learned_is_refused(source: Path, with_text: Path, tmp_path: Path, capsys) -> None:
    line = refusal(capsys, source, tmp_path / "out", "--hidden", "64", method="ligo")
    assert "it learns its operator on text; add --text FILE, or use --set steps=0" in line
    given = ("--hidden", "64", "--text", str(with_text))
    line = refusal(capsys, source, tmp_path / "out", *given, method="ligo")
    assert "2,000 tokens, but 100 steps and their check read 24,240; give more text, or use --set steps=7" in line
    body = headed(tmp_path / "body", BertModel)
    line = refusal(capsys, body, tmp_path / "out", *given, method="ligo")
    assert "BertModel does not predict" in line
