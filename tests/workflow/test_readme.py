"""The generated blocks of README.md and docs/."""

import runpy
from typing import Any

import pandas as pd
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
    section = script["results"]().split("\n## mini-gpt\n")[1].split("#### At equal score")[0]
    growing, controls = section.split("Controls:")
    rows = [line.split(" | ") for line in growing.splitlines() if line.startswith("| ") and "%" in line]
    place = growing.split("\n| ")[1].split(" | ").index("saving, everything counted")
    savings = [row[place].removeprefix("≥ ").partition(" ")[0] for row in rows]
    assert savings == sorted(savings, key=float, reverse=True) and len(savings) > 10
    assert "| scratch |" in controls and "| scratch_iso |" in controls and "| scratch |" not in growing


def test_the_front_page_prints_losses_and_flops_but_no_saving(script: dict[str, Any]) -> None:
    front = script["front"]()
    assert "%" not in front and "saving" not in front
    savings = pd.read_csv(ROOT / "results" / script["FRONT_STUDY"] / "tables/savings.csv").set_index("method")
    rows = {cells[0]: cells[1:] for line in front.splitlines() if (cells := line.strip("| ").split(" | "))[-1] == "3"}
    assert rows.keys() == set(savings.index)
    for method, (loss, *flops, _) in rows.items():
        assert loss == f"{savings.final_loss[method]:.3f}"
        assert flops == [f"{savings[key][method]:.2e}" for key in ("flops", "flops_total")]


def test_every_withdrawn_study_is_marked_and_has_a_section_on_what_is_wrong_with_it(script: dict[str, Any]) -> None:
    by_hand, _, generated = (ROOT / "docs/RESULTS.md").read_text(encoding="utf-8").partition("<!-- generated")
    assert script["WITHDRAWN"] <= script["studies"]().keys()
    for study in script["WITHDRAWN"]:
        assert f"\n### {study}\n\n**Known to be wrong.**" in by_hand, study
        assert f"\n## {study}\n\n**Superseded.** [What is known to be wrong with this study](#{study})." in generated
    above = (ROOT / "README.md").read_text(encoding="utf-8").partition("<!-- generated: front")[0]
    assert "**The savings of the first studies are withdrawn as evidence.**" in above and "docs/RESULTS.md" in above


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
