"""GLUE's files with their traps: no header, quotes as characters, and wrong files that are refused in one line."""

import os
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


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("nan", "not between 0 and 5"),
        ("1e400", "not between"),
        ("5.1", "not between"),
        ("-1", "not between"),
        ("x", "not a"),
    ],
)
@pytest.mark.parametrize("file", ["train.tsv", "dev.tsv"])
def test_a_bad_label_in_any_row_is_named_before_anything_is_spent(
    tmp_path: Path, label: str, words: str, file: str
) -> None:
    rows = [f"A cat {i} .\tA dog {i} .\t{i % 6}" for i in range(30)]
    for name in ("train.tsv", "dev.tsv"):
        write(tmp_path / "glue/STS-B" / name, "\n".join(["sentence1\tsentence2\tscore", *rows, ""]))
    made = study(tmp_path, "STS-B")
    glue.check(made)
    rows[20] = rows[20][:-1] + label
    write(tmp_path / "glue/STS-B" / file, "\n".join(["sentence1\tsentence2\tscore", *rows, ""]))
    with pytest.raises(GrowBenchError, match=f"{file}:22: label '{label}' is {words}"):
        glue.check(made)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            "sentence\tlabel\nfine\t1\ncaf\u00e9\t0\n".encode("latin-1"),
            r"train.tsv:3: not UTF-8 text; save the file as UTF-8",
        ),
        (b"sentence\tlabel\nfine\t1\nfi\0ne\t0\n", r"train.tsv:3: holds a NUL character"),
        (b"sentence\tlabel\n" + b"x" * 200_000 + b"\t1\n", r"train.tsv:2: not a line of this file"),
        (b"sentence\tlabel\nfine\t\x1b[31m1\n", r"train.tsv:2: label '\\x1b\[31m1' is not one of"),
        (b"", r"no column 'sentence'; it has none"),
    ],
)
def test_bytes_that_are_not_such_a_file_are_one_line(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "glue/SST-2/train.tsv"
    write(path, "")
    path.write_bytes(data)
    with pytest.raises(GrowBenchError, match=words) as caught:
        glue.check(study(tmp_path, "SST-2"))
    assert str(caught.value).isprintable()


def test_a_folder_or_a_pipe_in_place_of_a_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "glue/SST-2/train.tsv"
    path.mkdir(parents=True)
    with pytest.raises(GrowBenchError, match=r"train.tsv: not a file"):
        glue.check(study(tmp_path, "SST-2"))
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(GrowBenchError, match=r"train.tsv: not a file"):
        glue.check(study(tmp_path, "SST-2"))


def test_lines_of_qqp_that_lack_columns_are_skipped_and_counted(tmp_path: Path) -> None:
    head = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate"
    write(tmp_path / "glue/QQP/train.tsv", f"{head}\n1\t2\t3\ta\tb\t1\n2\t3\t4\n3\t4\t5\tc\td\t0\n")
    write(tmp_path / "glue/QQP/dev.tsv", f"{head}\n1\t2\t3\ta\tb\t1\n")
    made = study(tmp_path, "QQP")
    task, train, dev = glue.load(glue.task("QQP", made), made)
    assert train == [(("a", "b"), 1), (("c", "d"), 0)] and len(dev) == 1 and task.skipped == 1


def test_links_out_of_the_data_folder_are_refused_except_a_hub_cache_s(tmp_path: Path) -> None:
    text, data = "sentence\tlabel\nfine\t1\n", tmp_path / "data"
    write(data / "glue/SST-2/train.tsv", text)
    write(tmp_path / "elsewhere.tsv", text)
    link = data / "glue/SST-2/dev.tsv"
    link.symlink_to(tmp_path / "elsewhere.tsv")
    with pytest.raises(GrowBenchError, match=r"dev.tsv: a link out of .*data; put the file itself there"):
        glue.check(study(data, "SST-2"))
    link.unlink()
    link.symlink_to("train.tsv")
    glue.check(study(data, "SST-2"))
    hub = tmp_path / "hub/datasets--glue"
    write(hub / "blobs/abc", text)
    for name in ("train.tsv", "dev.tsv"):
        (hub / "snapshots/main/glue/SST-2").mkdir(parents=True, exist_ok=True)
        (hub / "snapshots/main/glue/SST-2" / name).symlink_to("../../../../blobs/abc")
    glue.check(study(hub / "snapshots/main", "SST-2"))
    linked = tmp_path / "linked"
    linked.symlink_to(hub / "snapshots/main")
    glue.check(study(linked, "SST-2"))


def test_hub_rows_are_known_by_their_content_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"sentence": "fine", "label": 1}, {"sentence": "bad", "label": 0}]
    monkeypatch.setattr("datasets.load_dataset", lambda *names: {"train": rows, "validation": rows})
    made = study(tmp_path, "SST-2", source="hub")
    before = glue.load(glue.task("SST-2", made), made)[0].files
    rows[0] = {"sentence": "finer", "label": 1}
    after = glue.load(glue.task("SST-2", made), made)[0].files
    assert before.keys() == {"train", "validation"} and before != after
    rows[0] = {"sentence": "finer", "label": -1}
    with pytest.raises(GrowBenchError, match="a row of SST-2's split train has no text or no label"):
        glue.load(glue.task("SST-2", made), made)


def test_a_missing_file_and_an_unknown_task_name_their_remedy(tmp_path: Path) -> None:
    with pytest.raises(GrowBenchError, match="official file"):
        glue.check(study(tmp_path, "CoLA"))
    with pytest.raises(GrowBenchError, match="did you mean 'CoLA'"):
        glue.task("Cola", study(tmp_path, "CoLA"))
