"""The generated blocks of README.md and docs/."""

import re
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
    section = script["first"]().split("\n## mini-gpt\n")[1].split("#### How firm they are")[0]
    growing, controls = section.split("Controls:")
    rows = [line.split(" | ") for line in growing.splitlines() if line.startswith("| ") and "%" in line]
    head = growing.split("\n| ")[1].split(" | ")
    place = head.index("saving, everything counted, against the from-scratch frontier")
    assert place == 1 and head[2] == "saving, everything counted"
    savings = [row[place].removeprefix("≥ ").partition(" ")[0] for row in rows]
    assert savings == sorted(savings, key=float, reverse=True) and len(savings) > 10
    assert "| scratch |" in controls and "| scratch_iso |" in controls and "| scratch |" not in growing


def test_the_front_page_prints_the_savings_of_a_rung_and_the_ladder_s_figure(script: dict[str, Any]) -> None:
    front = script["front"]()
    savings = pd.read_csv(ROOT / "results" / script["FRONT_STUDY"] / "tables/savings.csv").set_index("method")
    rows = {cells[0]: cells[1:] for line in front.splitlines() if (cells := line.strip("| ").split(" | "))[-1] == "5"}
    assert rows.keys() == set(savings.index)
    for method in savings.index.drop("scratch"):
        for cell, name in zip(rows[method], ("frontier", "total"), strict=False):
            assert cell.startswith(f"{100 * savings[f'saving_{name}'][method]:.1f} %")
    assert "figures/ladder/savings.png" in front and "95 % t interval" in front and "Minimum detectable" in front


def test_the_results_begin_with_the_ladder_s_page(script: dict[str, Any]) -> None:
    page = script["ladder"]()
    assert page.startswith("| rung |") and "### Predictions" in page and "| H2 |" in page
    figures = re.findall(r"\]\(\.\./(.+?)\)", page)
    assert "figures/ladder/savings.png" in figures and all((ROOT / path).is_file() for path in figures)


def test_every_withdrawn_study_is_marked_and_has_a_section_on_what_is_wrong_with_it(script: dict[str, Any]) -> None:
    by_hand, _, generated = (
        (ROOT / "docs/FIRST_STUDIES.md").read_text(encoding="utf-8").partition("<!-- generated: first")
    )
    assert script["WITHDRAWN"] <= script["studies"]().keys()
    for study in script["WITHDRAWN"]:
        assert f"\n### {study}\n\n**Known to be wrong.**" in by_hand, study
        assert f"\n## {study}\n\n**Superseded.** [What is known to be wrong with this study](#{study})." in generated
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert (
        "**The savings of the first studies are withdrawn as evidence.**" in readme
        and "docs/FIRST_STUDIES.md" in readme
    )


def _placebo(saved: float | None) -> dict[str, Any]:
    values = {"saving_total": saved, "saving_total_lo": None, "saving_total_hi": None, "share_not_reached_total": 0.0}
    return {"method": "twin", "n": 3, "status_total": "reached" if saved is not None else "not reached", **values}


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ([], "new: it has no placebo; add `placebo` to its methods and run it, then publish its savings"),
        ([_placebo(0.013)], "new: twin: saving 1.3 %, but a placebo's is at most 1 %; find the cause first"),
        ([_placebo(-0.02)], "new: twin: saving -2.0 %, but a placebo's is at most 1 %; find the cause first"),
        ([_placebo(None)], "new: twin: saving not reached, but a placebo's is at most 1 %; find the cause first"),
    ],
)
def test_a_study_without_a_good_placebo_is_not_published(
    script: dict[str, Any], rows: list[dict[str, Any]], error: str
) -> None:
    with pytest.raises(SystemExit) as refused:
        script["refuse_unpublishable"]("new", rows, {"twin": "placebo"})
    assert str(refused.value) == error


def test_a_study_with_a_good_placebo_is_published(script: dict[str, Any]) -> None:
    script["refuse_unpublishable"]("new", [_placebo(0.009)], {"twin": "placebo"})
    front = script["front"].__globals__
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(front, "FRONT_STUDY", "mini-gpt")
        with pytest.raises(SystemExit, match="mini-gpt: it has no placebo"):
            script["front"]()


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
