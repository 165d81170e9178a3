"""Test sets: official files are told from subsets, text is read without any change, and wrong files are refused."""

from pathlib import Path
from typing import Any

import datasets
import pytest
from support.testsets import put, study

from growbench.errors import GrowBenchError
from growbench.tasks import language, testsets


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
def test_wrong_files_are_refused_in_one_line(tmp_path: Path, name: str, text: str | None, words: str) -> None:
    if text is not None:
        put(tmp_path, name, text)
    with pytest.raises(GrowBenchError, match=words) as caught:
        testsets.check(study(tmp_path, name))
    assert "\n" not in str(caught.value) and "official file" in str(caught.value)
    with pytest.raises(GrowBenchError, match=r"data\.dir: not set"):
        testsets.check(study(None, name))
