"""Losses by document: tied to their record, and checked as lists of documents."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from growbench.errors import GrowBenchError
from growbench.records import documents

NATS = {"p50": [1234.56789, 0.000012345678], "p100": [1000.0, 7.0]}


def test_documents_read_back_to_seven_digits(tmp_path: Path) -> None:
    path = tmp_path / "r.documents.csv"
    sha256 = documents.write(path, [1, 5], [300, 2], NATS)
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.read_text() == "document,tokens,p50,p100\n1,300,1234.568,1000\n5,2,1.234568e-05,7\n"
    found = documents.read(path, sha256)
    assert found.points == ("p50", "p100") and found.numbers.tolist() == [1, 5] and found.tokens.tolist() == [300, 2]
    assert found.nats.shape == (2, 2)
    np.testing.assert_allclose(found.nats, list(NATS.values()), rtol=5e-7)
    np.testing.assert_allclose(found.losses, [1234.568 / 302, 1007 / 302], rtol=1e-7)


def test_documents_that_are_not_their_record_s_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.documents.csv"
    sha256 = documents.write(path, [1, 5], [300, 2], NATS)
    path.write_text(path.read_text().replace("1000", "1001"))
    with pytest.raises(
        GrowBenchError, match=r"r\.documents\.csv: not the list of documents of its record, its SHA-256"
    ):
        documents.read(path, sha256)
    path.unlink()
    with pytest.raises(GrowBenchError, match=r"r\.documents\.csv: no such list of documents; delete the record beside"):
        documents.read(path, sha256)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "not a complete CSV file of numbers"),
        ("document,tokens\n1,2\n", "its columns are not document, tokens and one for each"),
        ("tokens,document,p50\n1,2,3\n", "its columns are not document, tokens and one for each"),
        ("document,tokens,p50,p50\n1,2,3,4\n", "its columns are not document, tokens and one for each"),
        ("document,tokens,p50\n", "it has no rows"),
        ("document,tokens,p50\n1,2,three\n", "not a complete CSV file of numbers"),
        ("document,tokens,p50\n1,2.5,3\n", "not a complete CSV file of numbers"),
        ("document,tokens,p50\n1,2,3\n2\n", "not a complete CSV file of numbers"),
        ("document,tokens,p50\n1,2,3,4\n", "its rows have another number of columns"),
        ("document,tokens,p50\n1,2,3\n1,2,3\n", "column 'document' does not rise from row to row"),
        ("document,tokens,p50\n-1,2,3\n", "column 'document' does not rise from row to row"),
        ("document,tokens,p50\n1,0,3\n", "column 'tokens' has a value below 1"),
        ("document,tokens,p50\n1,2,nan\n", "column 'p50' has a value that is not a number of at least 0"),
        ("document,tokens,p50\n1,2,-3\n", "column 'p50' has a value that is not a number of at least 0"),
        ("document,tokens,p50\n99999999999999999999,2,3\n", "not a complete CSV file of numbers"),
    ],
)
def test_a_file_that_lists_no_documents_is_one_line(text: str, line: str, tmp_path: Path) -> None:
    path = tmp_path / "r.documents.csv"
    path.write_text(text)
    with pytest.raises(GrowBenchError) as error:
        documents.read(path, hashlib.sha256(text.encode()).hexdigest())
    assert str(error.value).startswith(f"{path}: {line}") and "\n" not in str(error.value)
