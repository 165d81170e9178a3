"""The corpus: text of any source, tokenised once into memory-mapped id files with a manifest that is written last."""

import logging
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from growbench import synthetic
from growbench.errors import GrowBenchError
from growbench.pipeline.corpus import sources
from growbench.records import record
from growbench.runtime import durable, lock
from growbench.study.study import Study

log = logging.getLogger(__name__)
VERSION = 1
REMEDY = "delete the folder and run `growbench corpus` again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """manifest: see build(). train, valid: flat ids, memory-mapped; a document is its tokens and the sep id."""

    manifest: dict[str, Any]
    train: np.ndarray
    valid: np.ndarray


def check(study: Study) -> None:
    """Raise the GrowBenchError that build() would raise for missing folders and files, or for empty text."""
    sources.check(study)


def build(study: Study) -> Path:
    """Write results/<study>/corpus and return the path of its manifest, which is written last.

    Everything is made in a folder beside it and renamed, so that nothing half-written is taken for whole.
    """
    folder = study.folder / "corpus"
    with lock.held(folder.with_name(".corpus.lock")):
        return _build(study, folder)


def _build(study: Study, folder: Path) -> Path:
    began = time.monotonic()
    source = sources.open_source(study)
    work = folder.with_name(".corpus.building")
    shutil.rmtree(work, ignore_errors=True)
    with durable.writing(work):
        try:
            work.mkdir(parents=True)
            manifest = _write(study, source, work)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
    (folder / "manifest.json").unlink(missing_ok=True)
    shutil.rmtree(folder / "tokenizer", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(work.iterdir()):
        os.replace(path, folder / path.name)
    work.rmdir()
    record.write(folder / "manifest.json", {**manifest, "seconds": round(time.monotonic() - began, 2)})
    log.info("corpus: %.2f M training tokens in %.0f s", manifest["train"]["tokens"] / 1e6, time.monotonic() - began)
    return folder / "manifest.json"


def _write(study: Study, source: sources.Source, work: Path) -> dict[str, Any]:
    """Write tokenizer/, train.bin and valid.bin to work; return the manifest without its time."""
    from growbench.pipeline.corpus import pack, tokenizer

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    config = study.corpus
    encoder, special = tokenizer.build(study, _sample(study, source, tokenizer.SAMPLE_CHARACTERS), work / "tokenizer")
    vocab, sep = encoder.get_vocab_size(with_added_tokens=True), special["sep"]
    assert sep is not None
    train = pack.Writer(work / "train.bin", vocab, sep, limit=config.max_tokens)
    valid = pack.Writer(work / "valid.bin", vocab, sep)
    if source.valid is None:
        pack.pack(encoder, source.train, train, valid, config.seed, config.valid_fraction)
    else:
        pack.pack(encoder, source.train, train, None, config.seed, 0.0)
        pack.pack(encoder, source.valid, valid, None, config.seed, 0.0)
    written = {"train": train.close(), "valid": valid.close()}
    if not train.documents:
        raise sources.empty("train", source.train)
    if not valid.documents:
        if source.valid is not None:
            raise sources.empty("valid", source.valid)
        raise GrowBenchError(
            f"corpus.valid_fraction: {config.valid_fraction} of {train.documents} documents holds out none; "
            "raise it or give corpus.valid"
        )
    return {
        "version": VERSION,
        "tokenizer": "tokenizer",
        "vocab": vocab,
        "dtype": str(pack.dtype_of(vocab)),
        "special": special,
        **written,
        "unigram_entropy": pack.unigram_entropy(train.counts, valid.counts, sep),
        **_floor(study, source),
    }


def _floor(study: Study, source: sources.Source) -> dict[str, Any]:
    """The manifest's entropy_floor and source: the floor is known for the synthetic language only."""
    if source.note["kind"] != "synthetic":
        return {"entropy_floor": None, "source": source.note}
    floors = synthetic.floors(study.corpus.seed, study.objective.mask_rate, study.objective.length)
    return {"entropy_floor": floors[study.objective.kind], "source": {**source.note, "entropy_floors": floors}}


def _sample(study: Study, source: sources.Source, characters: int) -> Iterator[str]:
    """Training documents for the vocabulary: the first of every part, `characters` in all, nothing held out."""
    from growbench.pipeline.corpus.pack import held_out

    config = study.corpus
    for number, part in enumerate(source.train):
        room = characters / len(source.train)
        for index, text in enumerate(part.read()):
            if source.valid is None and held_out(config.seed, number, index, config.valid_fraction):
                continue
            yield text
            room -= len(text)
            if room <= 0:
                break


def load(folder: Path) -> Corpus:
    """Open a built corpus; raise GrowBenchError naming the file that is missing or whose size is not the manifest's."""
    folder = Path(folder)
    if not (folder / "manifest.json").is_file():
        raise GrowBenchError(f"{folder / 'manifest.json'}: no corpus here; run `growbench corpus`")
    manifest = record.read(folder / "manifest.json")
    if manifest.get("version") != VERSION:
        raise GrowBenchError(f"{folder / 'manifest.json'}: version {manifest.get('version')}, not {VERSION}; {REMEDY}")
    if not (folder / manifest["tokenizer"] / "tokenizer.json").is_file():
        raise GrowBenchError(f"{folder / manifest['tokenizer'] / 'tokenizer.json'}: missing; {REMEDY}")
    ids = {split: _open_ids(folder, manifest, split) for split in ("train", "valid")}
    return Corpus(manifest=manifest, **ids)


def _open_ids(folder: Path, manifest: dict[str, Any], split: str) -> np.ndarray:
    path = folder / manifest[split]["file"]
    dtype, vocab = np.dtype(manifest["dtype"]).newbyteorder("<"), manifest["vocab"]
    if vocab > np.iinfo(dtype).max + 1:
        raise GrowBenchError(f"{path}: {dtype.name} ids cannot tell {vocab} tokens of a vocabulary apart; {REMEDY}")
    wanted = manifest[split]["tokens"] * dtype.itemsize
    if not path.is_file():
        raise GrowBenchError(f"{path}: missing; {REMEDY}")
    if path.stat().st_size != wanted:
        raise GrowBenchError(f"{path}: {path.stat().st_size} bytes, the manifest says {wanted}; {REMEDY}")
    return np.memmap(path, dtype=dtype, mode="r")
