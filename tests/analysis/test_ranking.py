"""The order in which savings are shown."""

import pytest

from growbench.analysis.ranking import CONTROLS, FROM_SOURCE, ON_THE_WAY, grouped, is_control, leading, ranked

NAN = float("nan")
ROWS = [
    {"method": name, "saving_total": saving}
    for name, saving in {
        "scratch": 0.0, "stackbert": 0.2, "mslt": NAN, "lemon": -0.1, "ki": None, "source_longer": 0.6, "longer": 0.7,
    }.items()
]  # fmt: skip


def names(rows: list[dict[str, object]]) -> list[object]:
    return [row["method"] for row in rows]


def test_the_largest_saving_comes_first_and_what_is_not_reached_last() -> None:
    growing, controls = ranked(ROWS)
    assert names(growing) == ["longer", "stackbert", "lemon", "mslt", "ki"]
    assert names(controls) == ["source_longer", "scratch"]


def test_a_variant_of_a_control_is_a_control() -> None:
    growing, controls = ranked(ROWS, {"longer": "source_longer", "stackbert": "stackbert"})
    assert names(growing)[0] == "stackbert" and names(controls) == ["longer", "source_longer", "scratch"]


@pytest.mark.parametrize(("method", "control"), [("scratch", True), ("scratch_iso", True), ("ki", False), ("x", False)])
def test_what_a_control_is(method: str, control: bool) -> None:
    assert is_control(method) is control


def test_methods_are_in_groups_by_what_they_grow_from_and_sorted_by_what_is_saved_against_scratch() -> None:
    costs = {"stackbert": 0.0, "mslt": 0.0}
    rows = [{**row, "saving_frontier": 0.1, "source_flops": costs.get(str(row["method"]), 1e9)} for row in ROWS]
    found = {name: names(own) for name, own in grouped(rows, {"longer": "longer"}).items()}
    assert found == {
        FROM_SOURCE: ["longer", "lemon", "ki"],
        ON_THE_WAY: ["stackbert", "mslt"],
        CONTROLS: ["source_longer"],
    }
    assert list(grouped([row for row in rows if row["method"] in ("scratch", "mslt")])) == [ON_THE_WAY]
    assert list(grouped([{**ROWS[1], "source_flops": NAN}])) == [FROM_SOURCE]  # of a checkpoint whose cost nobody knows


def test_at_most_eight_lead_scratch_first_and_controls_take_at_most_half() -> None:
    saved = {
        "scratch": 0.0,
        "placebo": 0.9,
        "scratch_iso": 0.8,
        "source_longer": 0.7,
        **{f"m{i}": i / 100 for i in range(9)},
    }
    rows = [{"method": name, "saving_total": saving} for name, saving in saved.items()]
    assert leading(rows) == ["scratch", "placebo", "scratch_iso", "source_longer", "m8", "m7", "m6", "m5"]
    assert leading([*rows, {"method": "longer", "saving_total": 1.0}], {"longer": "source_longer"})[1:4] == [
        "longer", "placebo", "scratch_iso",
    ]  # fmt: skip
    assert leading(rows[:2]) == ["scratch", "placebo"]
