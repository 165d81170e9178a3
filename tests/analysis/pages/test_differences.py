"""Method against method: the rows of a pair, seen from either side."""

import math
from typing import Any

import pandas as pd
import pytest

from growbench.analysis.pages import differences

BASES = {"a": "bert2bert_fpi", "b": "stackbert", "c": "direct_copy", "scratch": "scratch"}


def pair(
    method: str, other: str, saving: float | None, status: str = "reached", level: bool | None = False
) -> dict[str, Any]:
    ends = {"lo": None, "hi": None} if saving is None else {"lo": saving - 0.1, "hi": saving + 0.1}
    tests = {"p": 0.2, "p_holm": 0.4, "level": level, "detectable": 0.03}
    return {"method": method, "other": other, "n": 3, "status": status, "saving": saving, **ends, **tests}


def test_a_pair_seen_from_the_other_side_has_the_inverse_ratio_of_flops() -> None:
    """F_b = F_a / 2 saves half; the other way round, twice the FLOPs are a saving of -100 %."""
    seen = differences.against("a", pair("b", "a", 0.5))
    assert seen["other"] == "b" and seen["saving_pair"] == pytest.approx(-1.0)
    assert seen["saving_pair_lo"] == pytest.approx(-1.5) and seen["saving_pair_hi"] == pytest.approx(-0.4 / 0.6)
    for saving in (-0.7, 0.0, 0.3):
        turned = differences.against("a", pair("b", "a", saving))["saving_pair"]
        assert math.log(1 - turned) == pytest.approx(-math.log(1 - saving))


def test_a_bound_seen_from_the_other_side_is_no_number() -> None:
    assert differences.against("a", pair("b", "a", 0.5, "at first point"))["status_pair"] == "not reached"
    assert differences.against("a", pair("b", "a", None, "not reached"))["status_pair"] == differences.BEYOND
    assert differences.against("a", pair("b", "c", 0.5)) == {}


def test_a_method_is_called_level_only_by_the_equivalence_test() -> None:
    rows = [
        {"method": name, "saving_total": saved}
        for name, saved in (("a", 0.3), ("b", 0.1), ("c", 0.2), ("scratch", 0.0))
    ]
    frame = pd.DataFrame([pair("a", "b", 0.2, level=False), pair("a", "c", 0.01, level=True)])
    lines = differences.table(frame, rows, BASES).splitlines()
    assert lines[2].startswith("| a against | saving of a |")
    assert [line.split(" | ")[0].strip("| ") for line in lines[4:6]] == ["c", "b"]
    assert "| yes | 3.0 % |" in lines[4] and "| no | 3.0 % |" in lines[5]
    assert differences.table(frame, rows[:1], BASES) == ""
