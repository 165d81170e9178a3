"""Curves: tied to their record, and checked as curves."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from growbench.errors import GrowBenchError
from growbench.records import curve

ROWS: list[dict[str, Any]] = [
    dict(zip(curve.COLUMNS, values, strict=True))
    for values in [
        (0, "trunk", 0, "", 0.0, 5.0, 0, 0.0, "", 6.0, 0.0),
        (10, "trunk", 0, "", 1.0, 6.0, 100, 0.1, 5.5, 5.0, 1.0),
        (20, "cooldown", 0, "p60", 2.0, 7.0, 200, 0.0, 4.5, "", 2.0),
        (20, "cooldown", 0, "p60", 2.0, 7.0, 200, 0.0, "", 4.4, 2.0),
        (15, "trunk", 1, "", 1.5, 6.5, 150, 0.1, 5.2, 4.9, 1.5),
    ]
]


def test_a_curve_reads_back_as_it_was_written(tmp_path: Path) -> None:
    sha256 = curve.write(tmp_path / "c.csv", ROWS)
    assert sha256 == hashlib.sha256((tmp_path / "c.csv").read_bytes()).hexdigest()
    table = curve.read(tmp_path / "c.csv", sha256)
    assert list(table) == list(curve.COLUMNS) and len(table) == 5
    assert table["valid_loss"].tolist()[:2] == [6.0, 5.0] and table["step"].tolist() == [0, 10, 20, 20, 15]


def test_a_curve_that_is_not_its_record_s_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    sha256 = curve.write(path, ROWS)
    path.write_text(path.read_text().replace("4.4", "4.3"))
    with pytest.raises(GrowBenchError, match=r"c\.csv: not the curve of its record, its SHA-256 does not match"):
        curve.read(path, sha256)
    path.unlink()
    with pytest.raises(GrowBenchError, match=r"c\.csv: no such curve; delete the record beside it"):
        curve.read(path, sha256)
    path.mkdir()
    with pytest.raises(GrowBenchError, match=r"c\.csv: Is a directory"):
        curve.read(path, sha256)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "not a complete CSV file of numbers"),
        ("step,phase\n1,trunk\n", "column 'stage' is missing"),
        ("{head},more\n{rows}", "its columns are not step, phase"),
        ("{head}\n", "it has no rows"),
        ("{head}\n0,trunk,0,,0,0,0,0,,six,0\n", "not a complete CSV file of numbers"),
        ("{head}\n0.5,trunk,0,,0,0,0,0,,6,0\n", "not a complete CSV file of numbers"),
        ("{head}\n0,trunk,0,,0,0,0,0,,inf,0\n", "column 'valid_loss' has a value that is not a number of at least 0"),
        ("{head}\n0,trunk,0,,-1,0,0,0,,6,0\n", "column 'flops' has a value that is not a number of at least 0"),
        ("{head}\n0,trunk,0,,,0,0,0,,6,0\n", "column 'flops' has a value that is not a number of at least 0"),
        ("{head}\n0,branch,0,,0,0,0,0,,6,0\n", "phase 'branch' is not trunk or cooldown"),
        ("{head}\n9,trunk,0,,0,0,0,0,,6,0\n8,trunk,0,,0,0,0,0,,6,0\n", "column 'step' falls from one row to the next"),
        ("{head}\n1,trunk,0,,5,5,0,0,,6,0\n2,trunk,0,,4,5,0,0,,6,0\n", "column 'flops' falls from one row to the next"),
    ],
)
def test_a_file_that_is_no_curve_is_one_line(text: str, line: str, tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    data = text.format(head=",".join(curve.COLUMNS), rows="0,trunk,0,,0,0,0,0,,6,0,1\n").encode()
    path.write_bytes(data)
    with pytest.raises(GrowBenchError) as error:
        curve.read(path, hashlib.sha256(data).hexdigest())
    assert str(error.value).startswith(f"{path}: {line}") and "\n" not in str(error.value)
