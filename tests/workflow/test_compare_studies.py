"""Two studies of the same methods: what each saves, and the paired difference."""

import dataclasses
import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from support import constructed
from support.aggregated import edit
from support.workflow import ROOT

from growbench.errors import GrowBenchError
from growbench.study.study import Study

NOISE = {0: 0.0, 1: 0.01, 2: -0.02}  # of the seeds, alike in both studies


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "workflow/compare_studies.py"))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def made(
    name: str, cost: float, tokens: tuple[int, ...] = (5, 10, 20), precision: str = "float32", **values: Any
) -> Study:
    """Return a study in which stackbert needs `cost` times scratch's FLOPs, its records written."""
    budget = {"steps": None, "points": None, "tokens_per_parameter": list(tokens)}
    study = constructed.study(
        values.pop("methods", {"scratch": None, "stackbert": None}),
        **{"study": name, "data": {"repeat": True}, "budget": budget, **values},
    )
    for path in constructed.write(Path(), study, {"stackbert": cost}, NOISE).glob("pretrain/*.json"):
        edit(path, identity={**json.loads(path.read_text())["identity"], "precision": precision})
    return study


def row(table: str, method: str, tokens: int) -> list[str]:
    [line] = [line for line in table.splitlines() if line.startswith(f"| {method} | {tokens} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_difference_is_paired_by_seed(script: dict[str, Any]) -> None:
    table = script["compared"](made("one", 0.8, (2, 5, 10, 20), precision="bf16"), made("two", 0.84))
    assert "saving in one (bf16)" in table and "saving in two (float32)" in table
    found = row(table, "stackbert", 20)
    lo, hi = (float(end.rstrip("%]")) for end in found[3].partition("[")[2].split(", "))
    assert hi - lo > 5 and lo < 20 < hi  # seeds differ
    assert found[5] == "+5.0% [+5.0%, +5.0%]"  # 0.84 / 0.8 in each of them
    assert found[2].startswith("+0.0122 [")  # 0.25 ln(0.84 / 0.8)
    assert row(table, "scratch", 10)[2:] == ["+0.0000 [+0.0000, +0.0000]", "baseline", "baseline", "baseline"]
    first = row(table, "stackbert", 10)  # its growth leaves no room for an earlier point
    assert first[3].startswith("at first point: ") and first[5] == "none"
    assert "| 2 |" not in table


@pytest.mark.parametrize(
    ("other", "line"),
    [
        ({"tokens": (7, 40)}, "no common point"),
        ({"methods": {"scratch": None}}, "no common method"),
        ({"seeds": [0, 1]}, "their seeds differ"),
        (
            {"methods": {"scratch": None, "stackbert": {"lr": 1e-2}}},
            "lr 0.01 differs|lr .* differs from .*; the two cannot",
        ),
    ],
)
def test_studies_that_differ_in_something_else_are_refused(
    script: dict[str, Any], other: dict[str, Any], line: str
) -> None:
    one = made("one", 0.8, methods={"scratch": None, "stackbert": {"lr": 1e-3}})
    with pytest.raises(GrowBenchError, match=line):
        script["compared"](one, made("two", 0.8, **other))


def test_another_corpus_is_refused(script: dict[str, Any]) -> None:
    one, two = made("one", 0.8), made("two", 0.8)
    for path in two.layout.run_record("scratch", 0).parents[1].rglob("*.json"):
        values = json.loads(path.read_text())
        edit(path, **{key: {**values[key], "corpus": "5" * 64} for key in ("identity", "made_from") if key in values})
    with pytest.raises(GrowBenchError, match=r"corpus '5+.* differs from .*; the two cannot be compared"):
        script["compared"](one, two)


def test_budgets_must_be_in_tokens_per_parameter(script: dict[str, Any]) -> None:
    plain = constructed.study({"scratch": None, "stackbert": None})
    with pytest.raises(GrowBenchError, match=r"made: budget\.tokens_per_parameter is null"):
        script["compared"](plain, plain)


def test_the_studies_of_precision_differ_in_it_alone() -> None:
    from growbench.study import config

    one, two = (config.gather([ROOT / f"config/precision-{name}.yaml"]) for name in ("bf16", "float32"))
    assert (one.train.precision, two.train.precision) == ("bf16", "float32")
    assert dataclasses.replace(one, study="s", train=two.train) == dataclasses.replace(two, study="s")
    assert not any(two.searched(name) for name in two.trained()) and len(two.seeds) == 5
