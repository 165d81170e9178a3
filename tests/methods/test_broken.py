"""One broken file among the methods or families is refused when it is asked for, and does not disturb the others."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.tiny import ROOT

from growbench import families, methods
from growbench.cli import main as cli
from growbench.errors import GrowBenchError
from growbench.runtime import discover

DEMO = str(ROOT / "config/demo.yaml")
BROKEN = {
    "no_python": ("def f(:\n", r"cannot be used: SyntaxError: invalid syntax \(no_python.py, line 1\)"),
    "no_import": ("\nimport no_such_module\n", r"ModuleNotFoundError: .*'no_such_module' \(no_import.py, line 2\)"),
    "no_method": ("x = 1\n", "it has no METHOD"),
    "no_instance": ("METHOD = 3\n", "it has no METHOD"),
    "another_s": ("from growbench.methods.stack import METHOD\n", "its METHOD is that of stack.py"),
    "leaves": ("import sys\nsys.exit(3)\n", r"SystemExit: 3 \(leaves.py, line 2\)"),
    "no_title": (
        "from growbench.methods import Method\nclass M(Method):\n    paper = 'x'\nMETHOD = M()\n", "AttributeError: .*title"
    ),
    "odd": ("raise ValueError('a\\nb\\x1b[31m')\n", r"ValueError: a\\nb\\x1b\[31m \(odd.py, line 1\)"),
    "no_text": ("x = '\x00'\n", "cannot be used: SyntaxError"),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Methods are found in a folder of their own, beside the stock ones."""
    for path in methods.FOLDER.glob("*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(methods, "FOLDER", tmp_path)
    monkeypatch.setattr(methods, "__path__", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, f"{methods.__name__}.faulty", raising=False)  # of another test
    importlib.invalidate_caches()
    return tmp_path


@pytest.fixture
def broken(folder: Path) -> Path:
    for name, (code, _) in BROKEN.items():
        (folder / f"{name}.py").write_text(code)
    return folder


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_method_is_refused_in_one_line_with_file_and_reason(broken: Path, name: str) -> None:
    with pytest.raises(GrowBenchError, match=BROKEN[name][1]) as caught:
        methods.load(name)
    assert f"/{name}.py: " in str(caught.value) and "\n" not in str(caught.value) and "\x1b" not in str(caught.value)


def test_methods_lists_the_broken_files_after_the_others(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["methods"]) == 0
    out = capsys.readouterr().out
    assert all(f"/{name}.py: " in out.partition("Broken files:")[2] for name in BROKEN)
    assert cli.main(["methods", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["method"] for row in rows if "broken" in row} == set(BROKEN)
    assert {"lemon", "stack"} <= {row["method"] for row in rows if "broken" not in row}


def test_a_study_without_the_broken_method_is_checked(broken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = broken / "own.yaml"
    own.write_text(f"extends: {DEMO}\nstudy: own\nmethods: {{scratch: null, zero_pad: null}}\n")
    assert cli.main(["check", "--config", str(own)]) == 0
    assert cli.main(["check", "--config", DEMO]) == 2
    assert "/another_s.py: its METHOD is that of stack.py; fix the file, or remove it" in capsys.readouterr().err
    assert cli.main(["check", "--config", DEMO, *(f"--set=methods.{name}=false" for name in BROKEN)]) == 0


def test_what_is_no_file_of_a_method_is_not_one(folder: Path) -> None:
    before = methods.names()
    (folder / ".#lemon.py").symlink_to("nowhere")
    (folder / "_helper.py").write_text("")
    (folder / "drafts.py").mkdir()
    assert methods.names() == before


def test_a_broken_family_is_refused_when_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in families.FOLDER.glob("*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "reformer.py").write_text("FAMILY = 1\n")
    (tmp_path / "albert.py").write_text("from growbench.families.bert import FAMILY\n")
    monkeypatch.setattr(families, "FOLDER", tmp_path)
    monkeypatch.setattr(families, "__path__", [str(tmp_path)])
    with pytest.raises(GrowBenchError, match=r"/reformer\.py: it has no FAMILY"):
        families.load("reformer")
    with pytest.raises(GrowBenchError, match=r"/albert\.py: its model type is bert, not the name of the file"):
        families.load("albert")
    assert {"bert", "gpt2"} <= {family.name for family in families.loaded()}
    assert cli.main(["check", "--config", DEMO]) == 0


FAULTY = {  # the function that fails, and the words of a verb that calls it
    "check": ["check", "--config", "own.yaml"],
    "widen": ["grow", "source", "out", "--method", "faulty", "--hidden", "48"],
    "plan": ["plan", "--config", "own.yaml", "--no-timing"],
    "deepen": ["check", "--config", "own.yaml"],
}
CODE = """from growbench.methods import Method


class Faulty(Method):
    title = "Faulty"
    paper = "none"

    def {function}(self, *args, **options):
        return {value}


def helper(values):
    return values[3]


METHOD = Faulty()
"""


def write_faulty(folder: Path, place: Path, function: str, value: str) -> None:
    """Write a method whose function returns a value, and a study and a checkpoint for it."""
    (folder / "faulty.py").write_text(CODE.format(function=function, value=value))
    (place / "own.yaml").write_text(f"extends: {DEMO}\nstudy: own\nmethods: {{scratch: null, faulty: null}}\n")
    family = families.load("bert")
    family.build(family.config(family.example_spec())).save_pretrained("source")


@pytest.mark.parametrize("function", FAULTY)
def test_an_error_in_a_function_of_a_method_is_one_line_with_its_place(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], function: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_faulty(folder, tmp_path, function, "helper([])")
    capsys.readouterr()
    assert cli.main(FAULTY[function]) == 2
    line = capsys.readouterr().err
    assert "/faulty.py, line 13: IndexError: list index out of range; fix the file, or " in line
    assert line.startswith("growbench: ") and line.count("\n") == 1
    monkeypatch.setenv(discover.TRACEBACK, "1")
    with pytest.raises(IndexError):
        cli.main(FAULTY[function])


@pytest.mark.parametrize(
    ("function", "asked", "value", "words"),
    [
        ("widen", "check", "None", "widen returned NoneType, not Widening; fix the file"),
        ("widen", "widen", "3", "widen returned int, not Widening; fix the file"),
        ("plan", "plan", "[1, 2]", "plan returned list, not Plan; fix the file"),
        ("deepen", "check", "(1, 2)", "the depth map is not a tuple of Layer; correct the method's `deepen`"),
        ("deepen", "widen", "None", "the depth map is not a tuple of Layer"),
    ],
)
def test_a_value_of_another_kind_is_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    function: str, asked: str, value: str, words: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    write_faulty(folder, tmp_path, function, value)
    capsys.readouterr()
    assert cli.main(FAULTY[asked]) == 2
    line = capsys.readouterr().err
    assert words in line and line.count("\n") == 1


def test_an_error_in_a_family_s_file_is_one_line_and_one_of_the_engine_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    path = families.FOLDER / "bert.py"
    code = "def traits(self, config=None):\n    raise KeyError('eps')\n"
    space: dict[str, Any] = {}
    exec(compile(code, str(path), "exec"), space)
    monkeypatch.setattr(type(families.load("bert")), "traits", space["traits"])
    with pytest.raises(GrowBenchError, match=r"families/bert\.py, line 2: KeyError: 'eps'; fix"), discover.explained():
        families.load("bert").traits()
    with pytest.raises(KeyError, match="engine"), discover.explained():
        raise KeyError("engine")
