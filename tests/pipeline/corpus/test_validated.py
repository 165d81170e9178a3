"""What `growbench plan` and `growbench check` say about validation."""

from pathlib import Path

import pytest
from support import local_text, tiny, tiny_images
from support.local_text import DOCUMENTS, built, write

from growbench.pipeline.corpus import validated


def test_without_a_corpus_the_settings_are_told() -> None:
    study = tiny.study(study="none", **{"search.lrs": [1e-3, 2e-3], "search.share": 0.5})
    assert list(validated.lines(study)) == [
        "Trunk losses: at most 32 evenly spaced windows of valid (all documents)",
        "Finished points: at most 2048 evenly spaced windows of valid (documents with an odd number)",
        "Search trials: at most 2048 evenly spaced windows of valid (documents with an even number)",
    ]


def test_a_study_of_images_has_no_documents() -> None:
    assert list(validated.lines(tiny_images.study(study="none"))) == [
        "Trunk losses: at most 32 evenly spaced images of valid (all images)",
        "Finished points: at most 2048 evenly spaced images of valid (images with an odd number)",
    ]


def test_with_a_corpus_windows_and_documents_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "data/a.txt", "\n\n".join(DOCUMENTS))
    write(tmp_path / "data/t.txt", "\n\n".join(DOCUMENTS[:30]))
    study = local_text.study(tmp_path, train="a.txt", test="t.txt")
    entry = built(study).manifest["test"]
    windows = entry["tokens"] // 15
    assert list(validated.lines(study))[1] == (
        f"Finished points: at most {windows} evenly spaced windows of test (all documents: 30)"
    )
