"""BLiMP: the official files are read, subsets are told, and wrong files are refused in one line."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.testsets import study

from growbench.errors import GrowBenchError
from growbench.tasks import blimp, hub, testsets

ONE = "passive_1"


def row(name: str = ONE, **changes: Any) -> str:
    return json.dumps({"sentence_good": "a b.", "sentence_bad": "b a.", "UID": name, **changes})


def put(folder: Path, name: str, *rows: str) -> None:
    (folder / "blimp").mkdir(exist_ok=True)
    (folder / "blimp" / f"{name}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")


def test_the_official_files_are_67_of_1000_pairs_and_anything_else_is_a_subset(tmp_path: Path) -> None:
    assert len(blimp.PARADIGMS) == 67 == len(set(blimp.PARADIGMS))
    for name in blimp.PARADIGMS:
        put(tmp_path, name, *[row(name)] * 1000)
    whole = blimp.load(study(tmp_path, "BLiMP"))
    assert not whole.subset and len(whole.pairs) == 67_000 and set(testsets.paths("BLiMP")) == set(blimp.paths())
    assert all((tmp_path / path).is_file() for path in blimp.paths())
    put(tmp_path, ONE, *[row()] * 999)
    short = blimp.load(study(tmp_path, "BLiMP"))
    assert short.subset and short.files != whole.files
    (tmp_path / "blimp" / f"{ONE}.jsonl").unlink()
    assert blimp.load(study(tmp_path, "BLiMP")).subset


def test_pairs_are_the_file_s_sentences_with_their_paradigm(tmp_path: Path) -> None:
    put(tmp_path, ONE, row(sentence_good=" Über  x ."), row(field="syntax"))
    first, second = blimp.load(study(tmp_path, "BLiMP")).pairs
    assert (first.kind, first.right, first.wrong) == (ONE, " Über  x .", "b a.")
    assert second.right == "a b."


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", rf"{ONE}\.jsonl:1: not JSON"),
        ("[" * 100_000, ":1: not JSON"),
        ("", ":1: not JSON"),
        ("[1]", "no text under sentence_good or sentence_bad"),
        (row(sentence_bad=3), "no text under"),
        (row(sentence_bad=" "), "no text under"),
        (row(sentence_good="a\x1b[2J"), "no text under"),
        (row(sentence_good="\ud800"), "no text under"),
        (row() + "\n" + row("passive_2"), rf"{ONE}\.jsonl:2: UID is 'passive_2', not 'passive_1'"),
        (row("\x1b[2J"), r"UID is '\\x1b"),
        ("\0", "NUL"),
    ],
)
def test_wrong_files_are_refused_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    put(tmp_path, ONE, text)
    with pytest.raises(GrowBenchError, match=words) as caught:
        testsets.check(study(tmp_path, "BLiMP"))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_folder_without_its_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GrowBenchError, match="holds no file of BLiMP; put the official files there"):
        testsets.check(study(tmp_path, "BLiMP"))
    with pytest.raises(GrowBenchError, match=r"data\.dir: not set"):
        testsets.check(study(None, "BLiMP"))


def test_the_hub_s_rows_are_the_same_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "load", lambda study, path, name, **more: [json.loads(row(name))] * 1000)
    found = blimp.load(study(None, "BLiMP", source="hub"))
    assert not found.subset and len(found.pairs) == 67_000

    def down(*names: Any, **more: Any) -> Any:
        raise OSError("no\nnetwork")

    monkeypatch.setattr(hub, "load", down)
    with pytest.raises(GrowBenchError, match=r"BLiMP cannot be downloaded \(no network\)"):
        blimp.load(study(None, "BLiMP", source="hub"))
