"""growbench corpus: tokenize a study's text into id files, once, and generate its toyglue tasks if it uses them."""

import logging
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from growbench import synthetic
from growbench.errors import GrowBenchError
from growbench.pipeline.corpus import origin, parts, text_source, unfinished
from growbench.pipeline.corpus.corpus import VERSION, documents, splits, unpredicted
from growbench.pipeline.corpus.encoded import dtype_of
from growbench.pipeline.corpus.plain import PlainTokenizer
from growbench.pipeline.corpus.text_source import Hashed, TextSource
from growbench.pipeline.corpus.unfinished import Unfinished
from growbench.records import manifest
from growbench.runtime import durable, launch, lock
from growbench.study.study import Study
from growbench.tasks import hub

log = logging.getLogger(__name__)


def run(study: Study) -> None:
    """Write everything that the other steps read: the corpus, and the toyglue tasks if the study uses them."""
    build(study)
    if study.tasks.names and (study.images is not None or study.tasks.source == "toyglue"):
        tasks(study)


def tasks(study: Study) -> None:
    """Generate the toyglue tasks, or decode the images of tasks. Raises GrowBenchError if the study does not use them."""
    if study.images is not None:
        from growbench.pipeline.corpus.images import tasks as image_tasks

        image_tasks.build(study)
        return
    if study.tasks.source != "toyglue":
        raise GrowBenchError(
            f"tasks.source: {study.tasks.source}, but only toyglue tasks are generated; leave out --only"
        )
    from growbench.tasks import toyglue

    toyglue.build(study)


def check(study: Study) -> None:
    """Raise the GrowBenchError that build() would raise for missing folders and files, or for empty text."""
    if study.images is not None:
        from growbench.pipeline.corpus.images import build as images
        from growbench.pipeline.corpus.images import tasks as image_tasks

        images.check(study)
        image_tasks.check(study)
    else:
        text_source.check(study)


def build(study: Study) -> Path:
    """Write the study's corpus and return the path of its manifest, which is written last.

    The files are made in a folder beside the corpus and then moved, so that a half-written corpus is never used. If this is
    interrupted, the same command goes on after the last piece of text that was complete. A corpus that was made from the
    same text by the same config is left alone.
    """
    if study.images is not None:
        from growbench.pipeline.corpus.images import build as images

        return images.build(study)
    from growbench.pipeline.corpus import tokenizer

    folder, path = study.layout.corpus, study.layout.corpus_manifest
    durable.refuse_links(path)
    with lock.held(study.layout.corpus_lock):
        began = time.monotonic()
        source = text_source.open_text_source(study)
        files = text_source.hashed(source)
        named = tokenizer.named(study)
        made_from = origin.made_from(study, files.note, named)
        values = origin.unchanged(folder, made_from)
        if values is not None:
            log.info("corpus: made from the same text with the same config; not tokenized again")
        else:
            names = [stream.name.partition(":")[0] for stream in source.train if files.note["kind"] == "hub"]
            begun = unfinished.digest(origin.inputs(study, files.note, named), [hub.revision(name) for name in names])
            values = _into_place(study, source, files, made_from, begun)
            seconds = time.monotonic() - began
            log.info("corpus: %.2f M training tokens in %.0f s", values["train"]["tokens"] / 1e6, seconds)
        manifest.write(path, values)
    return path


def _into_place(
    study: Study, source: TextSource, files: Hashed, made_from: dict[str, Any] | None, begun: str
) -> dict[str, Any]:
    """Write everything except the manifest; return the manifest. begun: digest of what it is made from."""
    folder = study.layout.corpus
    work = folder.with_name(f".{folder.name}.building")
    place = Unfinished(work, begun, work / study.layout.tokenizer.name)
    with durable.writing(work):
        try:
            place.open()
            values = _write(study, source, files, place)
            origin.write(work, made_from, values)
            place.clear()
        except BaseException:
            place.stop()
            raise
    study.layout.corpus_manifest.unlink(missing_ok=True)
    (folder / origin.FILE).unlink(missing_ok=True)
    shutil.rmtree(study.layout.tokenizer, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(work.iterdir()):
        os.replace(path, folder / path.name)
    work.rmdir()
    return values


def _tokenizer(study: Study, source: TextSource, place: Unfinished) -> tuple[PlainTokenizer, dict[str, int | None]]:
    """Return the tokenizer and its special ids: the one that an interrupted job has made, or a new one."""
    from growbench.pipeline.corpus import tokenizer

    if (special := place.special()) is not None:
        log.info("corpus: goes on with what an interrupted job has tokenized")
        return place.loaded(), special
    encoder, special = tokenizer.build(study, _sample(study, source, tokenizer.SAMPLE_CHARACTERS), place.tokenizer)
    place.sign(special, _digests(place.tokenizer))
    return encoder, special


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: durable.digest(path) for path in sorted(folder.iterdir())}


def _write(study: Study, source: TextSource, files: Hashed, place: Unfinished) -> dict[str, Any]:
    """Write the tokenizer and the ids of each split; return the manifest."""
    from growbench.pipeline.corpus import held_out, pack
    from growbench.pipeline.corpus.pieces import Pieces

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    config, work = study.corpus, place.folder
    encoder, special = _tokenizer(study, source, place)
    vocab, sep = encoder.vocab, special["sep"]
    assert sep is not None

    def pieces(split: str) -> Pieces:
        return Pieces(place.pieces(split), encoder, place.tokenizer, launch.tokenizing())

    train = pack.Writer(work / "train.bin", vocab, sep, limit=config.max_tokens)
    reported = parts.of("report", source.test is not None)
    kept = {reported.split: held_out.Keeper(work / held_out.FILE, reported.half)}
    valid = pack.Writer(work / "valid.bin", vocab, sep, keeper=kept.get("valid"))
    if source.valid is None:
        pack.pack(pieces("train"), source.train, train, valid, config.seed, config.valid_fraction)
    else:
        pack.pack(pieces("train"), source.train, train, None, config.seed, 0.0)
        pack.pack(pieces("valid"), source.valid, valid, None, config.seed, 0.0)
    writers = {"train": train, "valid": valid}
    if source.test is not None:
        writers["test"] = pack.Writer(work / "test.bin", vocab, sep, keeper=kept["test"])
        pack.pack(pieces("test"), source.test, writers["test"], None, config.seed, 0.0)
    written = {split: writer.close() for split, writer in writers.items()}
    note = {**files.note, "skipped_rows": _skipped(source.streams)}
    files.check()
    _check_documents(source, written)
    _check_lengths(study, written)
    return {
        "version": VERSION,
        "tokenizer": {"folder": place.tokenizer.name, "files": _digests(place.tokenizer)},
        "vocab": vocab,
        "dtype": str(dtype_of(vocab)),
        "special": special,
        **written,
        held_out.KEY: kept[reported.split].close(),
        "unigram_entropy": _unigram_entropy(study, written, work, train.counts, special),
        **_floor(study, note),
    }


def _skipped(streams: text_source.Streams) -> int:
    """Return the number of rows without text. Raises GrowBenchError, naming the first, if they are many."""
    for stream in streams:
        stream.tally.check()
    count = sum(stream.tally.bad for stream in streams)
    if count:
        log.warning("corpus: %d rows have no text under corpus.text_key and are skipped", count)
    return count


def _check_lengths(study: Study, written: dict[str, Any]) -> None:
    """Raise GrowBenchError if a split has fewer tokens than one sequence. written: the manifest's entries of the splits."""
    wanted = study.objective.length - 1
    for split, entry in written.items():
        if entry["tokens"] < wanted:
            raise GrowBenchError(
                f"corpus.{split}: {entry['tokens']} tokens are shorter than one sequence of objective.length, which holds "
                f"{wanted}; give more text"
            )


def _check_documents(source: TextSource, written: dict[str, Any]) -> None:
    """Raise GrowBenchError if there is no training document, or if there are too few documents to validate on."""
    if not written["train"]["documents"]:
        raise text_source.empty("train", source.train)
    for split in splits(written)[1:]:
        text_source.check_documents(source, split, written[split]["documents"])


def _unigram_entropy(
    study: Study, written: dict[str, Any], work: Path, train: np.ndarray, special: dict[str, int | None]
) -> float:
    """Return the unigram entropy of exactly those tokens that finished points are scored on, in nats per token.

    written: the manifest's entries of the splits. train: counts per id, [vocab].
    """
    from growbench.pipeline.corpus import pack

    part, vocab = parts.of("report", "test" in written), len(train)
    ids = np.fromfile(work / written[part.split]["file"], dtype_of(vocab).newbyteorder("<"))
    scored = ids[part.holds(documents(ids, int(special["sep"] or 0)))]
    never = unpredicted(special) if study.objective.kind == "mlm" else ()
    return pack.unigram_entropy(train, np.bincount(scored, minlength=vocab), never)


def _floor(study: Study, note: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest's entropy_floor and source. The floor is known for the synthetic language only."""
    if note["kind"] != "synthetic":
        return {"entropy_floor": None, "source": note}
    floors = synthetic.floors(study.corpus.seed, study.objective.mask_rate, study.objective.length)
    return {"entropy_floor": floors[study.objective.kind], "source": {**note, "entropy_floors": floors}}


def _sample(study: Study, source: TextSource, characters: int) -> Iterator[str]:
    """Yield training documents for the vocabulary: the first ones of every stream, about `characters` in total."""
    from growbench.pipeline.corpus.parts import held_out

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
