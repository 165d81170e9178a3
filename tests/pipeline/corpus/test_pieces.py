"""A corpus made in pieces is the corpus made in one go, whatever interrupts it and however many processes make it."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from support import local_text
from support.local_text import BLANK, DOCUMENTS, JSONL, built, write

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus import pieces, run, text_source, tokenizer
from growbench.pipeline.corpus.plain import PlainTokenizer
from growbench.study.study import Study
from growbench.tasks import hub

SMALL = 300  # characters of a batch: four documents


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Study]:
    """A study of local text below tmp_path/data, which is tokenized in small pieces by one process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pieces, "BATCH_CHARACTERS", SMALL)
    monkeypatch.setattr(pieces, "BATCHES", 3)
    monkeypatch.setenv("RAYON_NUM_THREADS", "1")
    write(tmp_path / "data/a.txt", BLANK)
    return partial(local_text.study, tmp_path)


def contents(made: Study) -> dict[str, bytes]:
    """Return all files of a corpus."""
    folder = made.layout.corpus
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fresh(made: Study, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Return the files of the corpus made in one go, in another folder."""
    place = Path("fresh")
    place.mkdir(exist_ok=True)
    with monkeypatch.context() as patch:
        patch.chdir(place)
        built(made)
        return contents(made)


def interrupted(made: Study, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Build a corpus until this many pieces are complete."""
    store, done = pieces._store, []

    def stop(*given: Any) -> None:
        if len(done) == after:
            raise KeyboardInterrupt
        store(*given)
        done.append(given)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pieces, "_store", stop)
        run.build(made)


def tokenized(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of the texts that are tokenized from now on."""
    seen: list[str] = []
    documents = PlainTokenizer.documents

    def counted(self: PlainTokenizer, texts: list[str]) -> list[list[int]]:
        seen.extend(texts)
        return documents(self, texts)

    monkeypatch.setattr(PlainTokenizer, "documents", counted)
    return seen


def test_an_interrupted_corpus_goes_on_after_its_last_piece(study: Callable[..., Study], monkeypatch) -> None:
    made = study()
    wanted = fresh(made, monkeypatch)
    interrupted(made, 5, monkeypatch)
    assert not made.layout.corpus_manifest.exists()
    seen = tokenized(monkeypatch)
    monkeypatch.setattr(tokenizer, "train", None)  # the vocabulary is there already
    built(made)
    assert contents(made) == wanted
    texts = [text for text in seen if text in set(DOCUMENTS)]
    assert 0 < len(texts) < len(DOCUMENTS) - 5 * 3 * 3 and texts == DOCUMENTS[-len(texts) :]
    assert not list(made.layout.corpus.parent.glob(".*building*"))


def test_a_limit_cuts_the_same_text_in_pieces(study: Callable[..., Study], monkeypatch) -> None:
    made = study(max_tokens=2700)  # of 2,907
    wanted = fresh(made, monkeypatch)
    interrupted(made, 1, monkeypatch)
    assert built(made).manifest["train"]["tokens"] == 2700
    assert contents(made) == wanted


def test_a_damaged_piece_is_made_again(study: Callable[..., Study], monkeypatch) -> None:
    made = study()
    wanted = fresh(made, monkeypatch)
    interrupted(made, 4, monkeypatch)
    path = sorted(made.layout.corpus.parent.glob(".*building/pieces/train/*.safetensors"))[1]
    path.write_bytes(path.read_bytes()[:-9] + b"something")
    built(made)
    assert contents(made) == wanted


def test_another_config_begins_again(study: Callable[..., Study], monkeypatch) -> None:
    interrupted(study(), 4, monkeypatch)
    made = study(vocab=150)
    wanted = fresh(made, monkeypatch)
    built(made)
    assert contents(made) == wanted


@pytest.mark.slow
def test_several_processes_make_the_corpus_of_one(study: Callable[..., Study], monkeypatch) -> None:
    made = study()
    wanted = fresh(made, monkeypatch)
    monkeypatch.setattr(pieces, "ALONE", 1)
    monkeypatch.setenv("RAYON_NUM_THREADS", "2")
    seen = tokenized(monkeypatch)
    built(made)
    assert contents(made) == wanted
    assert 0 < len(seen) < 20, "the others are made elsewhere"


class Rows:
    """A streamed dataset that breaks before some rows, once for each time that a row is named."""

    def __init__(self, broken: list[int]) -> None:
        self.broken, self.opened = broken, []

    def load(self, *names: Any, **options: Any) -> "Rows":
        return self

    def skip(self, count: int) -> Iterator[dict[str, Any]]:
        self.opened.append(count)
        return islice(self._rows(count), 0, None)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self.skip(0)

    def _rows(self, first: int) -> Iterator[dict[str, Any]]:
        for number, text in enumerate(DOCUMENTS[first:], first):
            if number in self.broken:
                self.broken.remove(number)
                raise ConnectionResetError("the peer is gone")
            yield {"body": None if number == 50 else text}


@pytest.fixture
def hubbed(study: Callable[..., Study], monkeypatch: pytest.MonkeyPatch) -> Callable[[list[int]], tuple[Study, Rows]]:
    """A study of the hub, whose stream breaks before these rows."""
    made = study(source="hub", train="someone/text", text_key="body")
    monkeypatch.setattr(hub, "revision", lambda name: "1")

    def broken(rows: list[int]) -> tuple[Study, Rows]:
        stub = Rows(rows)
        monkeypatch.setattr(hub, "load", lambda study, *names, **options: stub)
        return made, stub

    return broken


def test_a_stream_that_breaks_goes_on_at_its_row(hubbed, monkeypatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    made, _ = hubbed([])
    wanted = fresh(made, monkeypatch)
    made, stub = hubbed([100, 100, 100, 170, 200])
    built(made)
    assert contents(made) == wanted and made.layout.corpus_manifest.exists()
    assert stub.opened == [0, 100, 100, 100, 170, 200, 0] and waited == [2, 4, 8, 2, 2], "the vocabulary reads it first"


def test_a_stream_that_stays_broken_ends_the_job_and_the_next_one_goes_on_at_its_row(hubbed, monkeypatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(tokenizer, "SAMPLE_CHARACTERS", SMALL)
    made, _ = hubbed([])
    wanted = fresh(made, monkeypatch)
    made, stub = hubbed([120] * text_source.TRIES)
    with pytest.raises(GrowBenchError, match=r"'someone/text' cannot be read \(the peer is gone\)"):
        run.build(made)
    assert stub.opened == [0, 0, *[120] * (text_source.TRIES - 1)]
    stub.opened.clear()
    built(made)
    assert len(stub.opened) == 1 and 60 < stub.opened[0] <= 120
    assert contents(made) == wanted


def test_a_dataset_that_changed_meanwhile_is_read_from_its_first_row(hubbed, monkeypatch) -> None:
    made, stub = hubbed([])
    interrupted(made, 3, monkeypatch)
    monkeypatch.setattr(hub, "revision", lambda name: "2")
    stub.opened.clear()
    built(made)
    assert stub.opened == [0, 0]


def test_a_stream_that_cannot_be_opened_is_not_waited_for(hubbed, monkeypatch) -> None:
    monkeypatch.setattr(time, "sleep", None)
    made, _ = hubbed([0])
    with pytest.raises(GrowBenchError, match="fix the name or the network"):
        run.build(made)
    assert not list(made.layout.corpus.parent.glob(".*building*")), "nothing is worth keeping"


def test_rows_of_files_are_counted_again(study: Callable[..., Study], tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "data/a.txt").unlink()
    write(tmp_path / "data/a.jsonl", JSONL + '\n{"body": null}')
    made = study(text_key="body")
    interrupted(made, 3, monkeypatch)
    assert built(made).manifest["source"]["skipped_rows"] == 1
