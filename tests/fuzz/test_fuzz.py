"""A fixed share of the fuzzing in CI: no traceback, no wrong acceptance, no hang."""

from pathlib import Path

import pytest

from fuzz import child
from fuzz.__main__ import AREAS, GOOD, fuzzed
from fuzz.area import Area

pytestmark = pytest.mark.fuzz
CASES, SECONDS, SEED = 60, 60.0, 20261126


@pytest.mark.parametrize("kind", AREAS, ids=lambda kind: kind.name)
def test_every_input_ends_in_a_clean_line_or_a_right_acceptance(kind: type[Area], tmp_path: Path) -> None:
    child.warm()
    found = fuzzed(kind, CASES, SECONDS, SEED, tmp_path)
    assert found and set(found) <= set(GOOD), found
