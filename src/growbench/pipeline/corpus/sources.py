"""Where text comes from: local files, a hub dataset or the synthetic language, all as named streams of documents."""

import glob
import gzip
import io
import json
import lzma
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import zstandard

from growbench import synthetic
from growbench.errors import GrowBenchError, nearest
from growbench.study.study import Study

KINDS = ("synthetic", "local", "hub")
LAYOUTS = ("blank_line", "line")
COMPRESSED = (".gz", ".xz", ".zst")
SUFFIXES = (".txt", ".tokens", ".jsonl")
ARTICLE = re.compile(r"^ = (?!= )(.*\S) =\s*$")
UNREADABLE = (OSError, EOFError, lzma.LZMAError, zlib.error, zstandard.ZstdError, UnicodeDecodeError)


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One file or dataset: read() starts its documents again from the first one."""

    name: str
    read: Callable[[], Iterator[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """The study's text. valid is None where the validation text is to be split off train by document.

    note: what it was made from, for the manifest. Only the synthetic source is endless.
    """

    train: tuple[Part, ...]
    valid: tuple[Part, ...] | None
    note: dict[str, Any] = field(default_factory=dict)


def open_source(study: Study) -> Source:
    """Return the source that the config names; raise GrowBenchError where a folder or file is missing."""
    openers = {"synthetic": _synthetic, "local": _local, "hub": _hub}
    kind = study.corpus.source
    if kind not in openers:
        raise GrowBenchError(f"corpus.source: '{kind}' is not known; {nearest(kind, KINDS)}")
    return openers[kind](study)


def check(study: Study) -> None:
    """Raise GrowBenchError unless every file is there and the first document of train and of valid can be read."""
    source = open_source(study)
    for key, parts in (("train", source.train), ("valid", source.valid)):
        if parts is not None and not any(next(part.read(), None) for part in parts):
            raise empty(key, parts)


def empty(key: str, parts: Iterable[Part]) -> GrowBenchError:
    """The error for a split without a single document."""
    names = ", ".join(part.name for part in parts)
    return GrowBenchError(f"corpus.{key}: no text in {names}; give files that hold at least one document")


def _synthetic(study: Study) -> Source:
    if study.corpus.max_tokens is None:
        raise GrowBenchError("corpus.max_tokens: null, but the synthetic language never ends; set it, e.g. 6000000")
    seed = study.corpus.seed
    part = Part(name="synthetic", read=partial(synthetic.documents, seed))
    return Source(train=(part,), valid=None, note={"kind": "synthetic", "seed": seed, "grammar": synthetic.VERSION})


def _local(study: Study) -> Source:
    config = study.corpus
    if study.data.dir is None:
        raise GrowBenchError("data.dir: not set, but corpus.source is local; set data.dir or GROWBENCH_DATA")
    folder = Path(study.data.dir)
    if not folder.is_dir():
        raise GrowBenchError(f"data.dir: no folder {folder}; set data.dir or GROWBENCH_DATA")
    if config.documents not in LAYOUTS:
        raise GrowBenchError(f"corpus.documents: '{config.documents}'; {nearest(config.documents, LAYOUTS)}")
    files = {key: _files(folder, key, getattr(config, key)) for key in ("train", "valid")}
    if not files["train"]:
        raise GrowBenchError("corpus.train: not set, but corpus.source is local; list files or globs below data.dir")
    both = set(files["train"]) & set(files["valid"])
    if both:
        raise GrowBenchError(f"corpus.valid: {min(both)} is training text too; take it out of corpus.train")
    parts = {
        key: tuple(
            Part(
                name=str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path),
                read=partial(read_file, path, config.documents, config.text_key),
            )
            for path in paths
        )
        for key, paths in files.items()
    }
    note: dict[str, Any] = {"kind": "local", **{k: [{"file": p.name} for p in v] for k, v in parts.items()}}
    for key, paths in files.items():
        for entry, path in zip(note[key], paths, strict=True):
            entry["bytes"] = path.stat().st_size
    return Source(train=parts["train"], valid=parts["valid"] or None, note=note)


def _names(value: str | Iterable[str] | None) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def _files(folder: Path, key: str, patterns: str | Iterable[str] | None) -> list[Path]:
    """Return the files below folder that the patterns match: patterns in their order, names sorted, each once."""
    found: dict[Path, None] = {}
    for pattern in _names(patterns):
        matches = [Path(p) for p in sorted(glob.glob(str(folder / pattern), recursive=True)) if Path(p).is_file()]
        if not matches:
            raise GrowBenchError(f"corpus.{key}: no file below {folder} matches '{pattern}'; correct it or data.dir")
        for path in matches:
            if file_type(path) not in SUFFIXES:
                endings = ", ".join(SUFFIXES)
                raise GrowBenchError(
                    f"corpus.{key}: {path} is of no known type; use {endings}, alone or with {', '.join(COMPRESSED)}"
                )
        found.update(dict.fromkeys(matches))
    return list(found)


def file_type(path: Path) -> str:
    """The file's suffix without its compression, e.g. `.jsonl` of `a.jsonl.gz`."""
    return Path(path.stem).suffix if path.suffix in COMPRESSED else path.suffix


class _Zstd(io.RawIOBase):
    """Decompressed bytes of a .zst file of one or more frames; unlike zstandard's own reader it notices a cut one."""

    def __init__(self, raw: BinaryIO) -> None:
        self.raw, self.rest, self.waiting = raw, b"", b""
        self.frame: Any = None

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.raw.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        while not self.waiting:
            chunk = self.rest or self.raw.read(1 << 18)
            if not chunk:
                if self.frame is not None:
                    raise EOFError("the archive ends inside a frame")
                return 0
            self.frame = self.frame or zstandard.ZstdDecompressor().decompressobj()
            self.waiting, self.rest = self.frame.decompress(chunk), b""
            if self.frame.eof:
                self.rest, self.frame = self.frame.unused_data, None
        size = min(len(buffer), len(self.waiting))
        buffer[:size], self.waiting = self.waiting[:size], self.waiting[size:]
        return size


def _open_text(path: Path) -> TextIO:
    raw: Any
    if path.suffix == ".gz":
        raw = gzip.open(path, "rb")
    elif path.suffix == ".xz":
        raw = lzma.open(path, "rb")
    elif path.suffix == ".zst":
        raw = io.BufferedReader(_Zstd(open(path, "rb")), 1 << 18)
    else:
        raw = open(path, "rb")
    return io.TextIOWrapper(raw, encoding="utf-8-sig")


def _lines(path: Path) -> Iterator[str]:
    try:
        with _open_text(path) as handle:
            yield from handle
    except UNREADABLE as error:
        reason = str(error) or type(error).__name__
        raise GrowBenchError(
            f"{path}: cannot be read to its end ({reason}); replace the file by a whole one"
        ) from error


def read_file(path: Path, layout: str, text_key: str) -> Iterator[str]:
    """Yield the documents of one file.

    layout: `blank_line` or `line`, for .txt. In .tokens (WikiText's layout) a document starts at a level-one
    heading ` = Title = `. In .jsonl each line is one document, the string under text_key.
    """
    kind = file_type(path)
    if kind == ".jsonl":
        yield from _json_documents(path, text_key)
    elif kind == ".tokens":
        yield from _groups(_lines(path), starts=ARTICLE.match, ends=None)
    elif layout == "line":
        yield from (line.strip() for line in _lines(path) if line.strip())
    else:
        yield from _groups(_lines(path), starts=None, ends=lambda line: not line.strip())


def _groups(
    lines: Iterator[str], starts: Callable[[str], Any] | None, ends: Callable[[str], Any] | None
) -> Iterator[str]:
    """Join lines into documents: a line for which starts is true opens one, a line for which ends is true closes it."""
    group: list[str] = []
    for line in lines:
        if group and ((starts and starts(line)) or (ends and ends(line))):
            yield "\n".join(group)
            group = []
        if line.strip():
            group.append(line.strip())
    if group:
        yield "\n".join(group)


def _json_documents(path: Path, text_key: str) -> Iterator[str]:
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise GrowBenchError(
                f"{path}, line {number}: not JSON ({error.msg}); correct or remove the line"
            ) from error
        yield from _text(row, text_key, f"{path}, line {number}")


def _text(row: Any, text_key: str, place: str) -> Iterator[str]:
    text = row.get(text_key) if isinstance(row, dict) else None
    if not isinstance(text, str):
        keys = ", ".join(sorted(row)) if isinstance(row, dict) else "none"
        raise GrowBenchError(f"{place}: no text under '{text_key}' (keys: {keys}); set corpus.text_key")
    if text.strip():
        yield text.strip()


def _hub(study: Study) -> Source:
    """Datasets streamed by name. A name may carry its own configuration as `name:subset`; valid names a split."""
    config = study.corpus
    names = _names(config.train)
    if not names:
        raise GrowBenchError("corpus.train: not set, but corpus.source is hub; give the name of a dataset")
    parts = {}
    for key, split in (("train", "train"), ("valid", config.valid)):
        if split is None or isinstance(split, str):
            wanted = names if split else []
            parts[key] = tuple(Part(name=n, read=partial(_stream, n, config, split)) for n in wanted)
        else:
            raise GrowBenchError("corpus.valid: a list, but corpus.source is hub; give the name of one split or null")
    note = {"kind": "hub", "train": names, "subset": config.subset, "valid": config.valid}
    return Source(train=parts["train"], valid=parts["valid"] or None, note=note)


def _stream(name: str, config: Any, split: str | None) -> Iterator[str]:
    import datasets

    path, _, subset = name.partition(":")
    try:
        rows = datasets.load_dataset(path, subset or config.subset, split=split, streaming=True)
        for number, row in enumerate(rows):
            yield from _text(row, config.text_key, f"{name}, row {number}")
    except GrowBenchError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise GrowBenchError(
            f"corpus.train: dataset '{name}', split '{split}': {reason}; correct it or go online"
        ) from error
