"""Config files: YAML and its faults, numbers, changes on the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.configs import study

from growbench.errors import GrowBenchError
from growbench.study import config, files


def test_a_file_is_named_in_its_faults(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps(files.merged(study(), {"corpus": {"vocb": 3}})), encoding="utf-8")
    with pytest.raises(GrowBenchError, match=r"mine\.yaml: corpus\.vocb: unknown key; did you mean 'vocab'"):
        config.load(path)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("seeds: [0]\nstudy: a\nseeds: [1]\n", "line 3: seeds appears twice; give it once"),
        ("data:\n  dir: a\n  dir: b\n", "line 3: dir appears twice; give it once"),
        ("seeds: [0\n", "fix the YAML"),
        ("- 1\n", "config/demo.yaml shows the keys"),
        ("", "config/demo.yaml shows the keys"),
    ],
)
def test_bad_yaml_is_one_line(tmp_path: Path, text: str, wanted: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(GrowBenchError) as caught:
        config.load(path)
    assert wanted in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(GrowBenchError, match="No such file"):
        config.load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("optimizer.lr", "1e-3", 0.001),
        ("optimizer.batch", "32.0", 32),
        ("budget.steps", "1e4", 10000),
        ("seeds", "[0.0, 1]", (0, 1)),
        ("finetune.epochs", "1.0", 1),
        ("train.dropout", "0", 0.0),
        ("methods.mslt", "{partial: 5e-1}", {"partial": 0.5}),
        ("methods.bert2bert", "{l_b: 2.0}", {"l_b": 2.0}),
    ],
)
def test_numbers_have_the_type_of_their_key(key: str, text: str, value: Any) -> None:
    loaded: Any = config.load(study(), files.change(f"{key}={text}"))
    for word in key.split("."):
        loaded = loaded[word] if isinstance(loaded, dict) else getattr(loaded, word)
    assert loaded == value and type(loaded) is type(value)


def test_an_option_that_is_an_integer_may_be_written_as_a_float() -> None:
    loaded = config.load(study(), files.change("methods.bert2bert={l_b: 2.0}"))
    assert repr(loaded.options("bert2bert")["l_b"]) == "2"
    for text in ("optimizer.batch=32.5", "methods.bert2bert={l_b: 2.5}"):
        with pytest.raises(GrowBenchError, match=r"2\.5 is not allowed; use an integer"):
            config.load(study(), files.change(text))


def test_the_environment_variable_overrides_the_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    values = files.merged(study(), {"data": {"dir": "here"}})
    assert config.load(values).data.dir == Path("here")
    monkeypatch.setenv(config.DATA_VARIABLE, "there")
    assert config.load(values).data.dir == Path("there")


def test_overrides_are_merged_by_section() -> None:
    loaded = config.load(study(), {"optimizer": {"lr": 0.5}, "seeds": [7]})
    assert (loaded.optimizer.lr, loaded.optimizer.warmup, loaded.seeds) == (0.5, {"share": 0.04}, (7,))


def test_changes_are_written_as_dotted_keys() -> None:
    assert files.change("optimizer.lr=1e-3") == {"optimizer": {"lr": 0.001}}
    assert files.change("seeds=[1, 2]") == {"seeds": [1, 2]}
    with pytest.raises(GrowBenchError, match="KEY=VALUE"):
        files.change("seeds")
