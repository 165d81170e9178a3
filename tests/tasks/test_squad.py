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
        ("SQuAD1.1", layout([replace(ask("q", "a b", "b"), start=1)]), "question 0: no answer at character 1"),
        ("SQuAD1.1", layout([replace(ask("q", "a", ""), start=0)]), "question 0: no answer at character 0"),
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
