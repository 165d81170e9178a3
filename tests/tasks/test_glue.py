"""GLUE's files with their traps: no header, quotes as characters, and wrong files that are refused in one line."""

from pathlib import Path

import pytest
from support.downstream import study

from growbench.errors import GrowBenchError
from growbench.tasks import glue


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_cola_has_no_header_and_quotes_are_letters(tmp_path: Path) -> None:
    for file in ("train.tsv", "dev.tsv"):
        write(tmp_path / "glue/CoLA" / file, 'gj04\t1\t\tHe said "go.\nks08\t0\t*\tGo said he the.\n')
    made = study(tmp_path, "CoLA")
    task, train, _ = glue.load(glue.task("CoLA", made), made)
    assert train == [(('He said "go.',), 1), (("Go said he the.",), 0)]
    assert task.subset


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sentence\tlable\nfine\t1\n", "no column 'label'"),
        ("sentence\tlabel\nfine\t2\n", "label '2' is not one of 0, 1"),
        ("sentence\tlabel\nfine\n", "1 columns"),
        ("sentence\tlabel\n", "holds no rows"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    write(tmp_path / "glue/SST-2/train.tsv", text)
    with pytest.raises(GrowBenchError, match=words) as caught:
        glue.check(study(tmp_path, "SST-2"))
    assert "SST-2" in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_and_an_unknown_task_name_their_remedy(tmp_path: Path) -> None:
    with pytest.raises(GrowBenchError, match="official file"):
        glue.check(study(tmp_path, "CoLA"))
    with pytest.raises(GrowBenchError, match="did you mean 'CoLA'"):
        glue.task("Cola", study(tmp_path, "CoLA"))
