"""Where a study's text comes from: local files, datasets of the hub, or the synthetic language; all as text streams."""

import glob
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from growbench import synthetic
from growbench.errors import GrowBenchError, nearest
from growbench.pipeline.corpus import files, parts
from growbench.pipeline.corpus.tally import Tally
from growbench.runtime import durable
from growbench.study.study import Study
from growbench.tasks import hub, local

log = logging.getLogger(__name__)
KINDS = ("synthetic", "local", "hub")
TRIES = 9  # times that a stream may break at the same row: about six minutes
LONGEST_WAIT = 120.0  # seconds
COMPRESSION = 3  # characters per byte of compressed text, for estimates


@dataclass(frozen=True, kw_only=True, slots=True)
class TextStream:
    """One file or dataset of text.

    name: for messages and the manifest.
    read: returns a new iterator over its documents, from the first one.
    characters: a rough estimate of its length, None if unknown; for progress messages only.
    path: of the file; None for anything else.
    tally: counts the rows of the last reading.
    resume: returns an iterator over the documents after the rows that tally has counted; None if rows cannot be skipped.
    """

    name: str
    read: Callable[[], Iterator[str]]
    characters: int | None = None
    path: Path | None = None
    tally: Tally = field(default_factory=Tally)
    resume: Callable[[], Iterator[str]] | None = None

    def after(self, documents: int, good: int, bad: int, first: str) -> Iterator[str]:
        """Return an iterator over the documents after that many, behind which the tally was good, bad and first."""
        if not documents or self.resume is None:
            return islice(self.read(), documents, None)
        self.tally.set(good, bad, first)
        return self.resume()


Streams = tuple[TextStream, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class TextSource:
    """All text of a study. Only the synthetic language is endless.

    train: the training text.
    valid: the validation text; None if documents of `train` are held out for it.
    test: the text on which finished points are scored; None if it is half of the validation documents.
    note: a description of the source for the manifest, files left out.
    """

    train: Streams
    valid: Streams | None
    note: dict[str, Any]
    test: Streams | None = None

    @property
    def streams(self) -> Streams:
        """All streams."""
        return (*self.train, *(self.valid or ()), *(self.test or ()))


@dataclass(frozen=True, slots=True)
class Hashed:
    """The files of a text source, as they were when they were hashed.

    note: the description of the source, with the size and the SHA-256 of each file.
    state: what the system says about each file, so that a change can be detected.
    """

    note: dict[str, Any]
    state: dict[Path, tuple[int, ...]]

    def check(self) -> None:
        """Raise GrowBenchError if a file was changed since it was hashed."""
        for path, before in self.state.items():
            if _state(path) != before:
                raise GrowBenchError(f"{path}: changed while it was read; run the same command again")


def hashed(source: TextSource) -> Hashed:
    """Hash the files of a text source. Raises GrowBenchError if one cannot be read."""
    state = {stream.path: _state(stream.path) for stream in source.streams if stream.path is not None}

    def listed(streams: Streams) -> list[dict[str, Any]]:
        return [
            {"file": stream.name, "bytes": state[stream.path][0], "sha256": _sha256(stream.path)}
            for stream in streams
            if stream.path is not None
        ]

    lists = {"train": listed(source.train), "valid": listed(source.valid or ())} if state else {}
    if source.test is not None and state:
        lists["test"] = listed(source.test)
    return Hashed({**source.note, **lists}, state)


def _state(path: Path) -> tuple[int, ...]:
    with durable.writing(path):
        found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def _sha256(path: Path) -> str:
    with durable.writing(path):
        return durable.digest(path)


def open_text_source(study: Study) -> TextSource:
    """Return the text source that the config names. Raises GrowBenchError if a folder or file is missing."""
    openers = {"synthetic": _synthetic, "local": _local, "hub": _hub}
    kind = study.corpus.source
    if kind not in openers:
        raise GrowBenchError(f"corpus.source: '{kind}' is not known; {nearest(kind, KINDS)}")
    return openers[kind](study)


def check(study: Study) -> None:
    """Raise GrowBenchError unless every file exists, train holds a document, and local valid and test text hold enough.

    Text of the hub is not read that far, and the synthetic language has as much as it takes.
    """
    source = open_text_source(study)
    given = {"train": source.train, "valid": source.valid, "test": source.test}
    for key, streams in given.items():
        if streams is not None and not any(next(stream.read(), None) for stream in streams):
            raise empty(key, streams)
    if study.corpus.source == "local":
        for key in [key for key in ("valid", "test") if key == "valid" or source.test is not None]:
            check_documents(source, key, sum(1 for _ in islice(_documents(study, source, key), 2 * parts.FEWEST)))


def _documents(study: Study, source: TextSource, split: str) -> Iterator[str]:
    """Yield the documents of valid or of test, which may be held out from train."""
    streams = source.test if split == "test" else source.valid
    for number, stream in enumerate(source.train if streams is None else streams):
        for index, text in enumerate(stream.read()):
            if streams is not None or parts.held_out(study.corpus.seed, number, index, study.corpus.valid_fraction):
                yield text


def check_documents(source: TextSource, split: str, count: int) -> None:
    """Raise GrowBenchError if valid or test has too few documents."""
    held = split == "valid" and source.valid is None
    remedy = "set a larger corpus.valid_fraction, or corpus.valid" if held else "give more text"
    parts.check(split, count, source.test is not None, f"{remedy}, or set corpus.documents to what separates them")


def empty(key: str, streams: Streams) -> GrowBenchError:
    """Return the error for a split without documents. key: train, valid or test."""
    names = ", ".join(stream.name for stream in streams)
    return GrowBenchError(f"corpus.{key}: no text in {names}; give files that hold at least one document")


def _synthetic(study: Study) -> TextSource:
    if study.corpus.max_tokens is None:
        raise GrowBenchError("corpus.max_tokens: null, but the synthetic language never ends; set it, e.g. 6000000")
    seed = study.corpus.seed
    stream = TextStream(name="synthetic", read=partial(synthetic.documents, seed))
    note = {"kind": "synthetic", "seed": seed, "grammar": synthetic.VERSION}
    return TextSource(train=(stream,), valid=None, note=note)


def _local(study: Study) -> TextSource:
    config = study.corpus
    folder = _data_folder(study)
    if config.documents not in files.LAYOUTS:
        raise GrowBenchError(
            f"corpus.documents: '{config.documents}' is not known; {nearest(config.documents, files.LAYOUTS)}"
        )
    found = {key: _matches(folder, key, getattr(config, key)) for key in ("train", "valid", "test")}
    train, valid, test = found.values()
    if not train:
        raise GrowBenchError("corpus.train: not set, but corpus.source is local; list files or globs below data.dir")
    for key, other, word in (
        ("valid", "train", "training"),
        ("test", "train", "training"),
        ("test", "valid", "validation"),
    ):
        if both := set(found[key]) & set(found[other]):
            raise GrowBenchError(f"corpus.{key}: {min(both)} is {word} text too; remove it from corpus.{other}")

    def stream(path: Path) -> TextStream:
        tally = Tally()
        return TextStream(
            name=str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path),
            read=partial(files.read_file, path, config.documents, config.text_key, tally),
            characters=path.stat().st_size * (COMPRESSION if path.suffix in files.COMPRESSED else 1),
            path=path,
            tally=tally,
        )

    return TextSource(
        train=tuple(map(stream, train)),
        valid=tuple(map(stream, valid)) or None,
        test=tuple(map(stream, test)) or None,
        note={"kind": "local"},
    )


def _data_folder(study: Study) -> Path:
    folder = local.data_folder(study, "corpus.source")
    if not folder.is_dir():
        raise GrowBenchError(f"data.dir: no folder {folder}; set data.dir or GROWBENCH_DATA")
    return folder


def _names(value: str | Iterable[str] | None) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def _matches(folder: Path, key: str, patterns: str | Iterable[str] | None) -> list[Path]:
    """Return the files below `folder` that match, each once: patterns in the given order, the files of each sorted.

    A pattern may name another folder. Links out of the folder are not followed; see local.check_inside.
    """
    found: dict[Path, None] = {}
    for pattern in _names(patterns):
        matches = [Path(p) for p in sorted(glob.glob(str(folder / pattern), recursive=True)) if Path(p).is_file()]
        if not matches:
            raise GrowBenchError(f"corpus.{key}: no file below {folder} matches '{pattern}'; fix it or data.dir")
        for path in matches:
            place = Path(os.path.normpath(path))
            below = place.is_relative_to(os.path.normpath(folder))
            local.check_inside(place, folder if below else _fixed(Path(os.path.normpath(folder / pattern))))
            if files.file_type(path) not in files.SUFFIXES:
                endings, packed = ", ".join(files.SUFFIXES), ", ".join(files.COMPRESSED)
                raise GrowBenchError(
                    f"corpus.{key}: {path} is of an unknown type; use {endings}, alone or followed by {packed}"
                )
        found.update(dict.fromkeys(matches))
    return list(found)


def _fixed(pattern: Path) -> Path:
    """Return the deepest folder that a pattern names without wildcards."""
    parent = pattern.parent
    while glob.has_magic(str(parent)):
        parent = parent.parent
    return parent


def _hub(study: Study) -> TextSource:
    """Datasets of the hub, streamed. A name may include a configuration, `name:subset`; corpus.valid and test name splits."""
    config = study.corpus
    names = _names(config.train)
    if not names:
        raise GrowBenchError("corpus.train: not set, but corpus.source is hub; give the name of a dataset")
    for key in ("valid", "test"):
        split = getattr(config, key)
        if not (split is None or isinstance(split, str)):
            raise GrowBenchError(f"corpus.{key}: a list, but corpus.source is hub; give the name of one split or null")

    def streams(split: str) -> Streams:
        return tuple(_hub_stream(study, name, split, Tally()) for name in names)

    note = {"kind": "hub", "train": names, "subset": config.subset, "valid": config.valid, "test": config.test}
    valid, test = (streams(name) if isinstance(name, str) else None for name in (config.valid, config.test))
    return TextSource(train=streams("train"), valid=valid, test=test, note=note)


def _hub_stream(study: Study, name: str, split: str, tally: Tally) -> TextStream:
    again = partial(_rows, study, name, split, tally)
    return TextStream(name=name, read=partial(again, new=True), tally=tally, resume=again)


def _rows(study: Study, name: str, split: str, tally: Tally, new: bool = False) -> Iterator[str]:
    """Yield the text of the rows after those that tally has counted, all if new. A stream that breaks is opened again there.

    Raises GrowBenchError if it cannot be opened at first, or has broken TRIES times without another row.
    """
    if new:
        tally.start()
    failed, reached = 0, tally.rows
    while True:
        try:
            yield from _opened(study, name, split, tally)
            break
        except GrowBenchError:
            raise
        except Exception as error:
            failed, reached = (1 if tally.rows > reached else failed + 1), tally.rows
            if not tally.rows or failed == TRIES:
                raise GrowBenchError(
                    f"corpus.train: split '{split}' of dataset '{name}' cannot be read ({hub.reason(error)}); "
                    "fix the name or the network"
                ) from error
            wait = min(2.0**failed, LONGEST_WAIT)
            log.warning("%s broke after row %d (%s); on again in %.0f s", name, tally.rows, hub.reason(error), wait)
            time.sleep(wait)
    tally.check()


def _opened(study: Study, name: str, split: str, tally: Tally) -> Iterator[str]:
    path, _, subset = name.partition(":")
    config = study.corpus
    rows = hub.load(study, path, subset or config.subset, split=split, streaming=True)
    for row in rows.skip(tally.rows) if tally.rows else rows:
        if text := tally.text(row, config.text_key, f"{name}, row {tally.rows}"):
            yield text
