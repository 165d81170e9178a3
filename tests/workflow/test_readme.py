"""The generated blocks of README.md and docs/."""

import runpy
from typing import Any

import pytest
from support.workflow import ROOT

from growbench import methods


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "workflow/readme.py"))


def test_every_method_has_a_row_and_its_options_are_on_the_methods_page(script: dict[str, Any]) -> None:
    for block in ("methods_table", "options_table"):
        rows = [line.split(" | ")[0].strip("| ") for line in script[block]().splitlines()[2:]]
        assert rows == methods.names()
    assert script["methods_table"]().splitlines()[0] == "| method | paper | grows |"
    assert script["options_table"]().splitlines()[0].endswith("| preserves the function | options |")


def test_the_largest_saving_comes_first_and_controls_have_their_own_table(script: dict[str, Any]) -> None:
    growing, controls = script["front"]().split("Controls:")
    savings = [
        line.split(" | ")[1].removeprefix("≥ ").partition(" ")[0] for line in growing.splitlines() if "%" in line
    ]
    assert savings == sorted(savings, key=float, reverse=True) and len(savings) > 10
    assert "| scratch |" in controls and "| scratch_iso |" in controls and "| scratch |" not in growing


def test_lines_are_wrapped_except_those_of_tables(script: dict[str, Any]) -> None:
    long = "- " + "word " * 40
    assert [line[:6] for line in script["_wrapped"](f"{long}\n| {long} |").split("\n")] == [
        "- word",
        "  word",
        "| - wo",
    ]
    for page in script["BLOCKS"]:
        text = (ROOT / page).read_text(encoding="utf-8")
        generated = text.partition("<!-- generated")[2].rpartition("<!-- end")[0]
        assert all(len(line) <= 120 for line in generated.splitlines() if not line.startswith(("|", "!["))), page
