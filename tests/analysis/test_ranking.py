"""The order in which savings are shown."""

import pytest

from growbench.analysis.ranking import is_control, ranked

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
