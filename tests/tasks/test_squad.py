"""SQuAD's files: the official layout and the hub's rows give the same questions, and wrong files are refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.downstream import study
from support.questions import ask, layout

from growbench.errors import GrowBenchError
from growbench.tasks import squad
from growbench.tasks.squad import Question


@pytest.mark.parametrize(
    ("name", "values", "wanted"),
    [
        ("SQuAD1.1", layout([ask("q", "a")]), "use SQuAD2.0"),
        ("SQuAD2.0", layout([ask("q", "a", "a")]), "use SQuAD1.1"),
        ("SQuAD1.1", {"data": []}, "holds no questions"),
        ("SQuAD1.1", {"version": 1}, "not in SQuAD's layout"),
        ("SQuAD1.1", [], "not in SQuAD's layout"),
        ("SQuAD1.1", "{", "not JSON"),
        ("SQuAD1.1", "[" * 100_000, "not JSON"),
        ("SQuAD1.1", layout([replace(ask("q", "a", "a"), text=None)]), "not in SQuAD's layout"),
        ("SQuAD1.1", layout([replace(ask("q", "a", "a"), context="\ud800")]), "not in SQuAD's layout"),
        ("SQuAD1.1", layout([replace(ask("q", "a", "a"), start=float("nan"))]), "not in SQuAD's layout"),
        ("SQuAD1.1", layout([replace(ask("q", "a", "a"), start=-1)]), "not in SQuAD's layout"),
        ("SQuAD1.1", layout([replace(ask("q", "a b", "b"), start=1)]), "that of question 0 is not at character 1"),
        ("SQuAD1.1", layout([replace(ask("q", "a", ""), start=0)]), "that of question 0 is not at character 0"),
        ("SQuAD2.0", layout([replace(ask("q", "a b", "b"), start=1), ask("q", "a")]), "no answer is in its context"),
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


def test_a_question_whose_answer_does_not_read_back_is_left_out_and_counted(tmp_path: Path) -> None:
    good, one_off, spaces = ask("q", "a b", "b"), replace(ask("r", "a b", "b"), start=1), ask("s", "a  b", " ")
    folder = tmp_path / "squad"
    folder.mkdir()
    (folder / "train.json").write_text(json.dumps(layout([one_off, good, spaces], "1.1")))
    (folder / "dev.json").write_text(json.dumps(layout([good, one_off], "1.1")))
    task, train, dev = squad.load("SQuAD1.1", study(tmp_path, "SQuAD1.1"))
    assert [q.text for q in train] == [q.text for q in dev] == ["q"]
    assert task.skipped == 3 and task.subset


def test_the_hub_s_rows_equal_the_file_s_questions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = [
        {"id": "1", "question": "q", "context": "x y", "answers": {"text": ["y", "x y"], "answer_start": [2, 0]}},
        {"id": "2", "question": "q", "context": "x y", "answers": {"text": [], "answer_start": []}},
    ]
    asked = []
    monkeypatch.setattr("datasets.load_dataset", lambda name: asked.append(name) or {"train": rows, "validation": rows})
    made = study(tmp_path, "SQuAD2.0", source="hub")
    task, train, dev = squad.load("SQuAD2.0", made)
    assert asked == ["rajpurkar/squad_v2"] and task.subset and train == dev
    assert train == [Question("1", "q", "x y", ("y", "x y"), 2), Question("2", "q", "x y", (), 0)]
