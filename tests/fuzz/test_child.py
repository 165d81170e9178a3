"""What every forked command of the harness shares."""

from pathlib import Path

import pytest

from fuzz import child
from growbench.records import provenance


def test_a_commit_made_meanwhile_is_in_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "_commit", lambda: ("before", False))

    def told() -> int:
        print(provenance._commit())
        return 0

    with child.at_one_commit() as commit:
        assert commit == "before"
        done = child.call(told, tmp_path)
    assert done.out == "('before', False)\n"
    monkeypatch.setattr(provenance, "_commit", lambda: ("after", False))
    assert provenance._commit()[0] == "after", "only while it fuzzes"
