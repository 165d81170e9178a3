"""growbench new-method writes a method that works; growbench try says what is missing before it starts."""

from pathlib import Path

import pytest
from support.edited import Edited
from support.helpers import drift
from support.matrix import cases, grow

from growbench import methods
from growbench.cli import main as cli
from growbench.cli import try_method
from growbench.errors import GrowBenchError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the methods' folder, where new files go."""
    return Edited(tmp_path, monkeypatch).folder


def test_a_new_method_grows_at_once_and_claims_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["new-method", "half_copy"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("half_copy.py: edit it, then run `growbench try half_copy`")
    made = methods.load("half_copy")
    assert (made.name, made.title, made.grows) == ("half_copy", "Half copy", ("layers", "hidden", "heads", "ffn"))
    for case in cases("gpt2").values():
        assert drift("gpt2", *grow("half_copy", "gpt2", case, {})) >= 0, "it makes a model of the target's sizes"
    text = (folder / "half_copy.py").read_text(encoding="utf-8")
    assert "class HalfCopy(Method):" in text and all(len(line) <= 125 for line in text.splitlines())


@pytest.mark.parametrize("name", ["2nd", "Half", "half-copy", "class", "source", "all", "a" * 41, ""])
def test_a_name_that_no_method_can_have_is_refused(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    before = sorted(folder.iterdir())
    assert cli.main(["new-method", name]) == 2
    assert "not a name for a method" in capsys.readouterr().err and sorted(folder.iterdir()) == before


def test_a_method_that_is_there_is_not_written_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "lemon.py").read_bytes()
    assert cli.main(["new-method", "lemon"]) == 2
    assert "there is a method of this name already" in capsys.readouterr().err
    assert (folder / "lemon.py").read_bytes() == before


def test_a_trial_needs_a_clone_a_method_and_its_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["try", "lemon"]) == 2
    assert "config/try.yaml: not here; run `growbench try` in the root folder of a clone" in capsys.readouterr().err
    assert cli.main(["try", "lemmon"]) == 2
    assert "did you mean 'lemon'" in capsys.readouterr().err
    with pytest.raises(GrowBenchError, match="clone the repository with its tests, or give --no-tests"):
        try_method.contract("lemon")
    tests = tmp_path / try_method.TESTS
    tests.parent.mkdir()
    tests.write_text(
        "import pytest\n\n\n@pytest.mark.parametrize('name', ['lemon-gpt2'])\ndef test_it(name):\n    assert 0\n"
    )
    with pytest.raises(GrowBenchError, match="lemon: its contract tests fail"):
        try_method.contract("lemon")
    with pytest.raises(GrowBenchError, match="has no test of msg"):
        try_method.contract("msg")


def test_a_trial_adds_the_method_to_its_study(monkeypatch: pytest.MonkeyPatch) -> None:
    from growbench.study import config

    monkeypatch.chdir(Path(__file__).resolve().parents[2])
    study = config.gather([str(try_method.CONFIG)], [try_method.change("lemon")])
    assert set(study.methods) == {"scratch", "placebo", "direct_copy", "bert2bert_fpi", "lemon"}
    assert study.tuner("placebo") == "scratch" and not study.tasks.names
