"""The corpus: every kind of file gives the same ids, splits are by document, and damaged input is refused in one line."""

import json
import lzma
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from support import local_text
from support.local_text import BLANK, DOCUMENTS, JSONL, LINES, built, write

from growbench import synthetic
from growbench.errors import GrowBenchError
from growbench.pipeline.corpus import corpus, run
from growbench.pipeline.corpus import held_out as kept
from growbench.pipeline.corpus.pack import unigram_entropy
from growbench.pipeline.corpus.parts import held_out
from growbench.records.layout import Layout
from growbench.tasks import hub


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A study of local text below tmp_path/data, with corpus keys changed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    return partial(local_text.study, tmp_path)


def test_every_kind_of_file_gives_the_same_ids(tmp_path: Path, study: Callable[..., Any]) -> None:
    found = {}
    kinds = {
        "a.txt": (BLANK, {}), "b.txt.gz": (BLANK, {}), "c.txt.xz": (BLANK, {}), "d.txt.zst": (BLANK, {}),
        "e.txt": (LINES, {"documents": "line"}), "f.jsonl.zst": (JSONL, {"text_key": "body"}),
    }  # fmt: skip
    for name, (text, keys) in kinds.items():
        write(tmp_path / "data" / name, text)
        made = built(study(train=name, **keys))
        found[name] = (made.train.tobytes(), made.valid.tobytes())
        assert made.manifest["train"]["documents"] + made.manifest["valid"]["documents"] == len(DOCUMENTS)
    assert len(set(found.values())) == 1


def test_the_split_is_by_document_and_ids_decode_to_the_text(tmp_path: Path, study: Callable[..., Any]) -> None:
    from transformers import AutoTokenizer

    write(tmp_path / "data/a.txt", BLANK)
    made = built(study(vocab=400))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / Layout("demo").tokenizer)
    sep = made.manifest["special"]["sep"]
    for split, aside in (("train", False), ("valid", True)):
        ids = np.asarray(getattr(made, split))
        texts = [tokenizer.decode(part) for part in np.split(ids, np.flatnonzero(ids == sep) + 1)[:-1]]
        wanted = [d for i, d in enumerate(DOCUMENTS) if held_out(0, 0, i, 0.2) == aside]
        found = ["".join(t.removesuffix("[SEP]").split()) for t in texts]
        assert found == ["".join(d.lower().split()) for d in wanted]
    assert 0 < len(made.valid) < len(made.train)


def test_the_text_that_is_reported_is_kept_and_models_do_not_depend_on_it(
    tmp_path: Path, study: Callable[..., Any]
) -> None:
    """Without test text, the validation documents with an odd number; with it, all of it."""
    write(tmp_path / "data/a.txt", BLANK)
    made, folder = built(study(vocab=400)), Layout("demo").corpus
    aside = [d for i, d in enumerate(DOCUMENTS) if held_out(0, 0, i, 0.2)]
    assert kept.read(folder, made.manifest) == aside[1::2]
    assert corpus.digest({k: v for k, v in made.manifest.items() if k != kept.KEY}) == made.digest
    (folder / kept.FILE).unlink()
    assert kept.read(folder, built(study(vocab=400)).manifest) == aside[1::2], "a missing file is made again"
    write(tmp_path / "data/t.txt", "\n\n".join(DOCUMENTS[:60]))
    write(tmp_path / "data/a.txt", "\n\n".join(DOCUMENTS[60:]))
    made = built(study(train="a.txt", test="t.txt", vocab=400))
    assert kept.read(folder, made.manifest) == DOCUMENTS[:60]


def test_a_limit_cuts_training_text_only(tmp_path: Path, study: Callable[..., Any]) -> None:
    write(tmp_path / "data/a.txt", BLANK)
    full = built(study())
    cut = built(study(max_tokens=100))
    assert len(cut.train) == 100
    assert np.array_equal(cut.train, full.train[:100])


def test_a_file_in_both_splits_is_refused(tmp_path: Path, study: Callable[..., Any]) -> None:
    write(tmp_path / "data/a.txt", BLANK)
    with pytest.raises(GrowBenchError, match=r"corpus.valid: .*a.txt is training text too"):
        run.check(study(train="*.txt", valid="a.txt"))


def test_validation_text_shorter_than_one_sequence_is_refused(tmp_path: Path, study: Callable[..., Any]) -> None:
    write(tmp_path / "data/a.txt", "\n\n".join(str(i % 10) for i in range(240)))
    made = study()
    made = replace(made, objective=replace(made.objective, length=256))
    with pytest.raises(GrowBenchError, match=r"corpus.valid: .* tokens are shorter than one sequence"):
        run.build(made)


def test_test_text_is_a_split_of_its_own(tmp_path: Path, study: Callable[..., Any]) -> None:
    write(tmp_path / "data/a.txt", "\n\n".join(DOCUMENTS[:200]))
    write(tmp_path / "data/t.txt", "\n\n".join(DOCUMENTS[200:]))
    keys = {"train": "a.txt", "test": "t.txt"}
    run.check(study(**keys))
    made = built(study(**keys))
    assert made.test is not None and made.manifest["test"]["documents"] == 40
    assert [entry["file"] for entry in made.manifest["source"]["test"]] == ["t.txt"]
    assert built(study(train="a.txt")).test is None
    with pytest.raises(GrowBenchError, match=r"corpus.test: .*a.txt is training text too; remove it from corpus.train"):
        run.check(study(train="*.txt", test="a.txt"))
    write(tmp_path / "data/t.txt", "\n\n".join(DOCUMENTS[:19]))
    for refused in (run.check, run.build):
        with pytest.raises(
            GrowBenchError, match=r"corpus.test: 19 documents are too few to tell models apart; at least 20 are"
        ):
            refused(study(**keys))


@pytest.mark.parametrize("kind", ["mlm", "clm"])
@pytest.mark.parametrize("tested", [False, True])
def test_the_unigram_entropy_is_of_what_is_scored(
    tmp_path: Path, study: Callable[..., Any], kind: str, tested: bool
) -> None:
    """Of the documents with an odd number or of the test text, with [SEP] if it is predicted; counted by hand."""
    write(tmp_path / "data/a.txt", BLANK)
    write(tmp_path / "data/t.txt", "\n\n".join(DOCUMENTS[:40]))
    made = study(train="a.txt", **({"test": "t.txt"} if tested else {}))
    target = replace(made.target, family="bert" if kind == "mlm" else "gpt2")
    found = built(replace(made, target=target, objective=replace(made.objective, kind=kind)))
    sep, vocab = found.manifest["special"]["sep"], found.manifest["vocab"]
    ids = np.asarray(found.test if tested else found.valid).astype(int)
    documents = np.split(ids, np.flatnonzero(ids == sep) + 1)[:-1]
    scored = np.concatenate(documents if tested else documents[1::2])
    ordinary = [i for i in range(vocab) if kind == "clm" or i not in (0, 2, 3, 4)]
    train = np.bincount(found.train, minlength=vocab)[ordinary] + 1
    log_p = dict(zip(ordinary, np.log(train / train.sum()), strict=True))
    wanted = -np.mean([log_p[i] for i in scored if i in log_p])
    assert found.manifest["unigram_entropy"] == pytest.approx(wanted)


def test_unigram_entropy_of_a_uniform_text_is_the_logarithm_of_its_words() -> None:
    counts = np.array([5, 10_000, 10_000, 10_000, 10_000])
    assert unigram_entropy(counts, counts, never={0}) == pytest.approx(np.log(4), abs=1e-3)


def test_a_hub_name_is_streamed(tmp_path: Path, study: Callable[..., Any]) -> None:
    """A folder stands in for the hub: `datasets` reads both by the same call."""
    folder = tmp_path / "stand_in"
    folder.mkdir()
    write(folder / "train.jsonl", JSONL)
    made = built(study(source="hub", train=str(folder), text_key="body"))
    assert made.manifest["source"]["kind"] == "hub"
    assert made.manifest["train"]["documents"] + made.manifest["valid"]["documents"] == len(DOCUMENTS)


def test_a_dataset_is_read_without_a_writable_home(tmp_path: Path, study: Callable[..., Any], monkeypatch) -> None:
    """Nothing is written outside the study if Hugging Face's cache cannot be written."""
    import datasets

    (tmp_path / "file").touch()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "file/datasets")
    write(tmp_path / "data/train.jsonl", JSONL)
    made = study(source="hub", train=str(tmp_path / "data"), text_key="body")
    assert len(built(made).train) > 0
    assert any(made.layout.hub.iterdir())


def test_several_hub_names_are_one_corpus_and_a_name_may_carry_its_subset(tmp_path: Path, study, monkeypatch) -> None:
    import datasets

    asked: list[tuple[str, str | None]] = []

    def load(path: str, subset: str | None, *, split: str, streaming: bool) -> list[dict[str, str]]:
        asked.append((path, subset))
        return [{"body": f"{path} {text}"} for text in DOCUMENTS]

    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr(hub, "revision", lambda name: None)
    made = built(study(source="hub", train=["wikimedia/wikipedia:20231101.en", "books"], text_key="body"))
    assert set(asked) == {("wikimedia/wikipedia", "20231101.en"), ("books", None)}
    assert made.manifest["train"]["documents"] + made.manifest["valid"]["documents"] == 2 * len(DOCUMENTS)
    assert made.manifest["source"]["train"] == ["wikimedia/wikipedia:20231101.en", "books"]


def test_the_synthetic_corpus_knows_its_floor(tmp_path: Path, study: Callable[..., Any], monkeypatch) -> None:
    floors = synthetic.floors
    monkeypatch.setattr(synthetic, "floors", lambda *words: floors(*words, windows=8))
    made = built(
        study(source="synthetic", train=None, tokenizer="word", vocab=512, max_tokens=30_000, valid_fraction=0.1)
    )
    manifest = made.manifest
    assert 0.3 < manifest["entropy_floor"] < 0.6 * manifest["unigram_entropy"]
    assert int(made.train.max()) < manifest["vocab"]


def test_a_damaged_corpus_is_not_opened(tmp_path: Path, study: Callable[..., Any]) -> None:
    write(tmp_path / "data/a.txt", BLANK)
    folder = run.build(study()).parent
    with open(folder / "train.bin", "ab") as handle:
        handle.write(b"xx")
    with pytest.raises(GrowBenchError, match=r"train.bin: its SHA-256 does not match the manifest"):
        corpus.load(folder)
    values = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**values, "vocab": values["vocab"] + 1}))
    with pytest.raises(GrowBenchError, match=r"manifest.json: its digest does not match"):
        corpus.load(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(GrowBenchError, match="no corpus here; run `growbench corpus --config FILE`"):
        corpus.load(folder)


@pytest.mark.parametrize(
    ("name", "data", "keys", "wanted"),
    [
        ("a.txt", b"", {}, r"corpus.train: no text in a.txt"),
        ("a.txt", b"one\n\xff\xfe\xff", {}, "a.txt, line 2: not UTF-8 text"),
        ("a.txt", b"one\n\ntwo\n\0", {}, "a.txt, line 4: holds a NUL character"),
        (
            "a.txt",
            "\n\n".join(DOCUMENTS[:100]).encode(),
            {},
            "corpus.valid: 2. documents are too few .* at least 40 are needed",
        ),
        ("a.txt", "\n\n".join(DOCUMENTS).encode(), {"documents": "line", "valid_fraction": 0.01}, "corpus.valid: "),
        ("a.txt.xz", lzma.compress(BLANK.encode())[:-40], {}, "cannot be read to its end"),
        ("a.txt.zst", zstandard.ZstdCompressor().compress(BLANK.encode())[:-9], {}, "cannot be read to its end"),
        ("a.jsonl", b'{"text": 1}\n', {}, "no text under 'text'"),
        ("a.jsonl", b'{"text": "whole"}\n{"text"\n', {}, "line 2: not JSON"),
        ("a.jsonl", b'{"text": "whole"}\n' + b"[" * 100_000, {}, "line 2: not JSON"),
        ("a.jsonl", b'{"text": "whole"}\n' + b'{"text": null}\n' * 10, {}, "line 2: no text .*, as in 10 of 11 rows"),
        ("a.jsonl", b'{"body": "x"}\n' * 10 + b'{"text": "late"}\n', {}, "line 1: no text .*, as in 10 of 10 rows"),
        ("a.pdf", b"x", {}, "of an unknown type"),
        ("a.txt", b"text", {"train": "b*.txt"}, "no file below .* matches 'b"),
    ],
)
def test_bad_text_is_refused_in_one_line(
    tmp_path: Path, study: Callable[..., Any], name: str, data: bytes, keys: dict[str, Any], wanted: str
) -> None:
    (tmp_path / "data" / name).write_bytes(data)
    with pytest.raises(GrowBenchError, match=wanted) as caught:
        chosen = study(**keys)
        run.check(chosen)
        run.build(chosen)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / Layout("demo").corpus_manifest).exists()


def test_a_missing_or_unset_folder_is_named(study: Callable[..., Any]) -> None:
    chosen = study()
    for folder, wanted in ((None, "data.dir: not set"), ("nowhere", "data.dir: no folder nowhere")):
        with pytest.raises(GrowBenchError, match=wanted):
            run.check(replace(chosen, data=replace(chosen.data, dir=folder)))
