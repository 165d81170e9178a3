"""Reading documents from text files: plain or compressed, `.txt`, `.tokens` or `.jsonl`."""

import gzip
import io
import json
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import zstandard

from growbench.errors import GrowBenchError

LAYOUTS = ("blank_line", "line")
COMPRESSED = (".gz", ".xz", ".zst")
SUFFIXES = (".txt", ".tokens", ".jsonl")
ARTICLE = re.compile(r"^ = (?!= )(.*\S) =\s*$")
UNREADABLE = (OSError, EOFError, lzma.LZMAError, zlib.error, zstandard.ZstdError, UnicodeDecodeError)


def file_type(path: Path) -> str:
    """Return the file's suffix without its compression, e.g. `.jsonl` for `a.jsonl.gz`."""
    return Path(path.stem).suffix if path.suffix in COMPRESSED else path.suffix


def read_file(path: Path, layout: str, text_key: str) -> Iterator[str]:
    """Yield the documents of one file. Raises GrowBenchError naming the file, and the line in .jsonl, if it is damaged.

    layout: `blank_line` or `line`, what separates documents in .txt. In .tokens (WikiText's layout) a document starts
    at a level-one heading ` = Title = `. In .jsonl each line is one document, the string under text_key.
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


def text_of(row: Any, text_key: str, place: str) -> Iterator[str]:
    """Yield the text of a row (of a .jsonl file or a dataset) unless it is empty. place: for the error message."""
    text = row.get(text_key) if isinstance(row, dict) else None
    if not isinstance(text, str):
        keys = ", ".join(sorted(row)) if isinstance(row, dict) else "none"
        raise GrowBenchError(f"{place}: no text under '{text_key}' (keys: {keys}); set corpus.text_key")
    if text.strip():
        yield text.strip()


class _Zstd(io.RawIOBase):
    """Decompressed bytes of a .zst file of one or more frames. Unlike zstandard's reader, it notices truncation."""

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
            f"{path}: cannot be read to its end ({reason}); replace it with an undamaged UTF-8 file"
        ) from error


def _groups(
    lines: Iterator[str], starts: Callable[[str], Any] | None, ends: Callable[[str], Any] | None
) -> Iterator[str]:
    """Join lines into documents, each begun by a line for which `starts` is true or ended by one for which `ends` is."""
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
            raise GrowBenchError(f"{path}, line {number}: not JSON ({error.msg}); fix or remove the line") from error
        yield from text_of(row, text_key, f"{path}, line {number}")
