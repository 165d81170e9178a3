"""growbench corpus: tokenize a study's text into id files, once, and generate its toyglue tasks if it uses them."""

import logging
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from growbench import synthetic
from growbench.errors import GrowBenchError
from growbench.pipeline.corpus import text_source
from growbench.pipeline.corpus.corpus import VERSION
from growbench.pipeline.corpus.text_source import TextSource
from growbench.runtime import durable, lock
from growbench.study.study import Study

log = logging.getLogger(__name__)


def run(study: Study) -> None:
    """Write everything that the other steps read: the corpus, and the toyglue tasks if the study uses them."""
    build(study)
    if study.tasks.source == "toyglue":
        from growbench.tasks import toyglue

        toyglue.build(study)


def check(study: Study) -> None:
    """Raise the GrowBenchError that build() would raise for missing folders and files, or for empty text."""
    text_source.check(study)


def build(study: Study) -> Path:
    """Write the study's corpus and return the path of its manifest, which is written last.

    The files are made in a folder beside the corpus and then moved, so that a half-written corpus is never used.
    """
    with lock.held(study.layout.corpus_lock):
        began = time.monotonic()
        manifest = _into_place(study)
        seconds = time.monotonic() - began
        durable.write_json(study.layout.corpus_manifest, {**manifest, "seconds": round(seconds, 2)})
    log.info("corpus: %.2f M training tokens in %.0f s", manifest["train"]["tokens"] / 1e6, seconds)
    return study.layout.corpus_manifest


def _into_place(study: Study) -> dict[str, Any]:
    """Write everything except the manifest; return the manifest."""
    folder = study.layout.corpus
    source = text_source.open_text_source(study)
    work = folder.with_name(f".{folder.name}.building")
    shutil.rmtree(work, ignore_errors=True)
    with durable.writing(work):
        try:
            work.mkdir(parents=True)
            manifest = _write(study, source, work)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
    study.layout.corpus_manifest.unlink(missing_ok=True)
    shutil.rmtree(study.layout.tokenizer, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(work.iterdir()):
        os.replace(path, folder / path.name)
    work.rmdir()
    return manifest


def _write(study: Study, source: TextSource, work: Path) -> dict[str, Any]:
    """Write the tokenizer, train.bin and valid.bin to `work`; return the manifest without its time."""
    from growbench.pipeline.corpus import pack, tokenizer

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    config = study.corpus
    place = work / study.layout.tokenizer.name
    encoder, special = tokenizer.build(study, _sample(study, source, tokenizer.SAMPLE_CHARACTERS), place)
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
    _check_documents(study, source, train.documents, valid.documents)
    return {
        "version": VERSION,
        "tokenizer": place.name,
        "vocab": vocab,
        "dtype": str(pack.dtype_of(vocab)),
        "special": special,
        **written,
        "unigram_entropy": pack.unigram_entropy(train.counts, valid.counts, sep),
        **_floor(study, source),
    }


def _check_documents(study: Study, source: TextSource, train: int, valid: int) -> None:
    """Raise GrowBenchError if there is no training or no validation document."""
    if not train:
        raise text_source.empty("train", source.train)
    if not valid:
        if source.valid is not None:
            raise text_source.empty("valid", source.valid)
        raise GrowBenchError(
            f"corpus.valid_fraction: {study.corpus.valid_fraction} of {train} documents holds out none; "
            "use a larger fraction or set corpus.valid"
        )


def _floor(study: Study, source: TextSource) -> dict[str, Any]:
    """Return the manifest's entropy_floor and source. The floor is known for the synthetic language only."""
    if source.note["kind"] != "synthetic":
        return {"entropy_floor": None, "source": source.note}
    floors = synthetic.floors(study.corpus.seed, study.objective.mask_rate, study.objective.length)
    return {"entropy_floor": floors[study.objective.kind], "source": {**source.note, "entropy_floors": floors}}


def _sample(study: Study, source: TextSource, characters: int) -> Iterator[str]:
    """Yield training documents for the vocabulary: the first ones of every stream, about `characters` in total."""
    from growbench.pipeline.corpus.pack import held_out

    config = study.corpus
    for number, stream in enumerate(source.train):
        room = characters / len(source.train)
        for index, text in enumerate(stream.read()):
            if source.valid is None and held_out(config.seed, number, index, config.valid_fraction):
                continue
            yield text
            room -= len(text)
            if room <= 0:
                break
