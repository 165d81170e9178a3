"""Results change only together with a version: growing and training give what tests/golden/ says."""

import dataclasses

import pytest
from golden import entry, growth, training
from golden.entry import Entry
from golden.tolerances import CURVES, WEIGHTS
from support.matrix import FAMILIES


def check(name: str, key: str, new: Entry, tolerance: float) -> None:
    old = entry.read(name).get(key)
    assert old is not None, f"tests/golden/{name}.json: no results of {key}; {entry.REMEDY}"
    line = entry.unexplained(old, new, tolerance) or entry.stale(old, new)
    assert not line, f"tests/golden/{name}.json: {key}: {line}"


@pytest.mark.parametrize("family", FAMILIES)
def test_growing_gives_the_golden_weights(family: str) -> None:
    check(family, family, growth.entry(family), WEIGHTS)


@pytest.mark.parametrize("case", training.CASES)
def test_training_gives_the_golden_losses(case: str) -> None:
    check("training", case, training.entry(case), CURVES)


OLD = Entry(
    versions={"growth.VERSION": 1, "version in families/bert.py": 1},
    code={"lemon": "a" * 64, "stack": "b" * 64},
    results={"lemon": {"both": [0.5, 2.0, -1.0]}, "stack": {"depth x 2": [1.0]}},
)


def changed(**values: object) -> Entry:
    return dataclasses.replace(OLD, **values)  # type: ignore[arg-type]


def test_a_changed_result_names_the_version_to_raise() -> None:
    new = changed(results={**OLD.results, "lemon": {"both": [0.5, 2.0, -1.0001]}})
    line = entry.unexplained(OLD, new, WEIGHTS)
    assert "lemon, both: [0.5, 2.0, -1.0001] instead of" in line
    assert line.endswith("; raise growth.VERSION or version in families/bert.py, then run make golden")


def test_rounding_is_no_change() -> None:
    new = changed(results={**OLD.results, "lemon": {"both": [0.5000001, 2.0, -1.0]}})
    assert not entry.unexplained(OLD, new, WEIGHTS) and not entry.stale(OLD, new)


def test_a_growth_that_is_refused_now_is_a_change() -> None:
    assert 'lemon, both: "nothing"' in entry.unexplained(OLD, changed(results={"lemon": {}}), WEIGHTS)


def test_a_raised_version_asks_for_make_golden_only() -> None:
    new = changed(
        versions={**OLD.versions, "growth.VERSION": 2}, results={**OLD.results, "lemon": {"both": [9.0, 9.0, 9.0]}}
    )
    assert not entry.unexplained(OLD, new, WEIGHTS)
    assert entry.stale(OLD, new) == "growth.VERSION is 2, but the golden results are those of 1; run make golden"


def test_a_method_s_own_code_explains_its_results_and_no_others() -> None:
    new = changed(code={**OLD.code, "lemon": "c" * 64}, results={**OLD.results, "lemon": {"both": [9.0, 9.0, 9.0]}})
    assert not entry.unexplained(OLD, new, WEIGHTS)
    assert entry.stale(OLD, new) == "the code of lemon is not that of the golden results; run make golden"
    other = dataclasses.replace(new, results={**new.results, "stack": {"depth x 2": [2.0]}})
    assert entry.unexplained(OLD, other, WEIGHTS).startswith("stack, depth x 2")
