"""A corpus belongs to its text, config and tokenizer: a change of these makes it again, a change of nothing leaves it alone."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import local_text
from support.local_text import BLANK, JSONL, built, write

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus import corpus, run
from growbench.pipeline.corpus import tokenizer as tokenizers
from growbench.records.layout import Layout
from growbench.study.study import Study

LAYOUT = Layout("demo")
MANIFEST = LAYOUT.corpus_manifest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "data/a.txt", BLANK)
    write(tmp_path / "data/unread.md", "not text of the study")
    return tmp_path


def study(folder: Path, **keys: Any) -> Study:
    return local_text.study(folder, **{"train": "*.txt", **keys})


def everything() -> dict[str, bytes]:
    """The files of the corpus, byte for byte."""
    return {str(path): path.read_bytes() for path in sorted(LAYOUT.corpus.rglob("*")) if path.is_file()}


def fresh(made: Study) -> dict[str, bytes]:
    """The files of a corpus that is made where none was."""
    shutil.rmtree(LAYOUT.corpus)
    run.build(made)
    return everything()


def touched(folder: Path) -> None:
    os.utime(folder / "data/a.txt", (1, 1))


def unread(folder: Path) -> None:
    (folder / "data/unread.md").write_text("still not")


def manifest_removed(folder: Path) -> None:
    MANIFEST.unlink()  # as Snakemake does before it runs a job


@pytest.mark.parametrize("change", [touched, unread, manifest_removed])
def test_nothing_is_tokenized_again_without_a_reason(
    folder: Path, change: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run.build(study(folder))
    before = everything()
    change(folder)
    monkeypatch.setattr(tokenizers, "build", None)
    run.build(study(folder))
    assert everything() == before


def longer(folder: Path) -> dict[str, Any]:
    write(folder / "data/a.txt", BLANK.replace("number 7", "number seven"))
    return {}


def more(folder: Path) -> dict[str, Any]:
    write(folder / "data/b.txt", BLANK[:500])
    return {}


def damaged(folder: Path) -> dict[str, Any]:
    data = (LAYOUT.corpus / "train.bin").read_bytes()
    (LAYOUT.corpus / "train.bin").write_bytes(data[:-2] + b"\1\0")
    return {}


def other_tokenizer(folder: Path) -> dict[str, Any]:
    (LAYOUT.tokenizer / "tokenizer.json").write_text("{}")
    return {}


def vocabulary(folder: Path) -> dict[str, Any]:
    return {"vocab": 170}


@pytest.mark.parametrize("change", [longer, more, damaged, other_tokenizer, vocabulary])
def test_a_change_gives_the_bytes_of_a_fresh_corpus(folder: Path, change: Callable[[Path], dict[str, Any]]) -> None:
    run.build(study(folder))
    before = everything()
    made = study(folder, **change(folder))
    run.build(made)
    after = everything()
    assert after == fresh(made)
    assert (after == before) == (change in (damaged, other_tokenizer))


def test_a_named_tokenizer_that_changed_is_noticed(folder: Path) -> None:
    run.build(study(folder))
    shutil.copytree(LAYOUT.tokenizer, folder / "named")
    made = study(folder, tokenizer="pretrained", tokenizer_name=str(folder / "named"))
    first = built(made).digest
    values = json.loads((folder / "named/tokenizer.json").read_text())
    values["normalizer"]["lowercase"] = not values["normalizer"]["lowercase"]
    (folder / "named/tokenizer.json").write_text(json.dumps(values))
    assert built(made).digest != first
    assert everything() == fresh(made)


def test_the_digest_is_that_of_the_ids_not_of_the_file_that_held_the_text(folder: Path) -> None:
    first = built(study(folder))
    write(folder / "data/a.txt", BLANK.replace("\n\n", "\n\n\n"))
    second = built(study(folder))
    assert second.digest == first.digest and second.manifest["source"] != first.manifest["source"]
    write(folder / "data/a.txt", BLANK + "\nOne more .\n")
    assert built(study(folder)).digest != first.digest


def test_the_manifest_names_the_text_by_its_hash(folder: Path) -> None:
    from growbench.runtime import durable

    found = built(study(folder)).manifest["source"]["train"]
    assert found == [{"file": "a.txt", "bytes": len(BLANK), "sha256": durable.digest(folder / "data/a.txt")}]


def test_text_that_changes_while_it_is_read_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = tokenizers.build

    def meanwhile(*args: Any) -> Any:
        write(folder / "data/a.txt", BLANK + "\nmore\n")
        return build(*args)

    monkeypatch.setattr(tokenizers, "build", meanwhile)
    with pytest.raises(GrowBenchError, match=r"a.txt: changed while it was read"):
        run.build(study(folder))
    assert not MANIFEST.exists()


def test_a_few_rows_without_text_cost_their_rows(folder: Path) -> None:
    rows = JSONL.split("\n")
    write(folder / "data/a.jsonl", "\n".join(rows))
    whole = built(study(folder, train="*.jsonl", text_key="body"))
    odd = ['{"body": null}', '{"id": 1}', "7", '{"body": "\\ud800"}']
    write(folder / "data/a.jsonl", "\n".join([*rows[:50], *odd, *rows[50:]]))
    made = built(study(folder, train="*.jsonl", text_key="body"))
    assert made.manifest["source"]["skipped_rows"] == 4 and whole.manifest["source"]["skipped_rows"] == 0
    assert made.digest == whole.digest


@pytest.mark.parametrize(
    "name", ["train.bin", "valid.bin", "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"]
)
def test_a_changed_or_missing_file_is_named_when_the_corpus_is_opened(folder: Path, name: str) -> None:
    run.build(study(folder))
    path = LAYOUT.corpus / name
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(GrowBenchError, match=f"{name}: its SHA-256 does not match"):
        corpus.load(LAYOUT.corpus)
    path.unlink()
    with pytest.raises(GrowBenchError, match=f"{name}: missing"):
        corpus.load(LAYOUT.corpus)


def test_links_are_followed_below_the_data_folder_only(folder: Path) -> None:
    write(folder / "outside.txt", BLANK)
    (folder / "data/b.txt").symlink_to(folder / "data/a.txt")
    built(study(folder))
    (folder / "data/c.txt").symlink_to(folder / "outside.txt")
    with pytest.raises(GrowBenchError, match=r"c.txt: a link out of .*data; put the file itself there"):
        run.check(study(folder))
    (folder / "data/c.txt").unlink()
    built(study(folder, train=[str(folder / "outside.txt")]))
    built(study(folder, train="../out*.txt"))
