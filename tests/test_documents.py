"""What README and the pages beside it say can be done: commands parse, targets exist, the example is a method."""

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from growbench import methods
from growbench.cli import arguments
from growbench.cli.verbs import VERBS
from growbench.spec import ModelSpec

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "config/README.md",
    "docs/SLURM.md",
    "docs/METHODS.md",
    "docs/PROTOCOL.md",
    "docs/GROW.md",
]
WORDS = {"FILE": "config/demo.yaml", "SOURCE_DIR": "source", "OUT_DIR": "out", "C": "config/demo.yaml"}


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def commands(page: str, name: str) -> list[list[str]]:
    """Return the words of each command of a page that starts with `name`, in code blocks and in `quotes`."""
    found = re.findall(rf"^    {name} (.+)$", text(page), re.MULTILINE) + re.findall(rf"`{name} ([^`]+)`", text(page))
    plain = (command.replace("[", "").replace("]", "").partition("#")[0].partition(">")[0] for command in found)
    return [[WORDS.get(word, word) for word in shlex.split(command)] for command in plain]


@pytest.mark.parametrize("page", PAGES)
def test_commands_name_verbs_and_options_that_exist(page: str) -> None:
    parser = arguments.parser(VERBS)
    for words in commands(page, "growbench"):
        assert words[0] in VERBS, words
        known = parser.format_help() if len(words) == 1 else options(parser, words[0])
        assert all(word.partition("=")[0] in known for word in words if word.startswith("--")), words
        for path in (word for word in words if word.startswith("config/")):
            assert (ROOT / path).is_file(), words


def options(parser: Any, verb: str) -> str:
    """Return a verb's help."""
    (verbs,) = (action for action in parser._actions if action.dest == "verb")
    return str(verbs.choices[verb].format_help())


@pytest.mark.parametrize("page", PAGES)
def test_targets_of_make_exist(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    assert {words[0] for words in commands(page, "make")} <= targets


def test_the_readme_s_example_is_a_method() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", text("README.md"), re.DOTALL)
    space: dict[str, Any] = {"__name__": "growbench.methods.padding"}
    exec(code, space)
    method = space["METHOD"]
    assert isinstance(method, methods.Method) and method.name == "padding"
    shape: dict[str, Any] = {"family": "bert", "layers": 2, "ffn": 64, "vocab": 50, "max_length": 16}
    small, big = (ModelSpec(**shape, hidden=16 * heads, heads=heads) for heads in (2, 3))
    residual = method.widen(small, big, method.check_options({}), np.random.default_rng(0)).residual
    assert list(residual.index[:32]) == list(range(32)) and set(residual.index[32:]) == {-1}


@pytest.mark.parametrize(
    "page", ["CHANGELOG.md", "docs/LOG.md", "docs/BENCHMARKS.md", "docs/RESULTS.md", "docs/FIRST_STUDIES.md", *PAGES]
)
def test_no_line_is_too_long(page: str) -> None:
    """Generated blocks count, too; tables may be wider."""
    assert [line for line in text(page).splitlines() if len(line) > 120 and not line.startswith("|")] == []


def test_every_word_of_the_glossary_has_one_entry() -> None:
    words = re.findall(r"^\| ([^|]+?) \|", text("docs/GLOSSARY.md"), re.MULTILINE)
    entries = [part for word in words if word != "word" for part in word.split(", ")]
    assert len(entries) == len(set(entries)) > 80


def functions(path: Path) -> set[str]:
    """Return the names of the tests of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_rule_of_the_protocol_names_tests_that_exist() -> None:
    rules, _, table = text("docs/PROTOCOL.md").partition("## 15 Rules and their tests")
    named = dict(re.findall(r"^\| (\d+\.\d+) \| (.+) \|$", table, re.MULTILINE))
    assert list(named) == re.findall(r"^- \*\*(\d+\.\d+)\*\*", rules, re.MULTILINE) and len(named) > 100
    for rule, tests in named.items():
        for path, _, name in (test.partition("::") for test in re.findall(r"`([^`]+)`", tests)):
            assert name.startswith("test_") and name in functions(ROOT / "tests" / path), (rule, path, name)
    assert all("`" in tests for tests in named.values())
