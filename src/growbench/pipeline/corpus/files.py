"""Reading documents from text files: plain or compressed, `.txt`, `.tokens` or `.jsonl`."""

import gzip
import io
import json
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus.tally import Tally

LAYOUTS = ("blank_line", "line")
COMPRESSED = (".gz", ".xz", ".zst")
SUFFIXES = (".txt", ".tokens", ".jsonl")
ARTICLE = re.compile(r"^ = (?!= )(.*\S) =\s*$")
UNREADABLE = (OSError, EOFError, lzma.LZMAError, zlib.error, zstandard.ZstdError)


def file_type(path: Path) -> str:
    """Return the file's suffix without its compression, e.g. `.jsonl` for `a.jsonl.gz`."""
    return Path(path.stem).suffix if path.suffix in COMPRESSED else path.suffix


def read_file(path: Path, layout: str, text_key: str, tally: Tally | None = None) -> Iterator[str]:
    """Yield the documents of one file. Raises GrowBenchError, naming the file and the line, if it is damaged.

    layout: `blank_line` or `line`, what separates documents in .txt. In .tokens (WikiText's layout) a document starts
    at a level-one heading ` = Title = `. In .jsonl each line is one document, the string under text_key.
    tally: counts the rows of .jsonl.
    """
    kind = file_type(path)
    if kind == ".jsonl":
        yield from _json_documents(path, text_key, tally or Tally())
    elif kind == ".tokens":
        yield from _groups(_lines(path), starts=ARTICLE.match, ends=None)
    elif layout == "line":
        yield from (line.strip() for line in _lines(path) if line.strip())
    else:
        yield from _groups(_lines(path), starts=None, ends=lambda line: not line.strip())


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


def _open_bytes(path: Path) -> Any:
    if path.suffix == ".gz":
        return gzip.open(path, "rb")
    if path.suffix == ".xz":
        return lzma.open(path, "rb")
    if path.suffix == ".zst":
        return io.BufferedReader(_Zstd(open(path, "rb")), 1 << 18)
    return open(path, "rb")


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file, which end in \\n, \\r\\n or \\r."""
    for number, line in enumerate(_byte_lines(path), start=1):
        if b"\0" in line:
            raise GrowBenchError(
                f"{path}, line {number}: holds a NUL character, so it is damaged or no text; replace or remove the file"
            )
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise GrowBenchError(
                f"{path}, line {number}: not UTF-8 text; save the file as UTF-8, or remove the line"
            ) from error
        if "\r" in text:
            yield from io.StringIO(text, newline=None)
        else:
            yield text


def _byte_lines(path: Path) -> Iterator[bytes]:
    try:
        with _open_bytes(path) as handle:
            yield from handle
    except UNREADABLE as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise GrowBenchError(
            f"{path}: cannot be read to its end ({reason}); replace it with an undamaged file"
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


def _json_documents(path: Path, text_key: str, tally: Tally) -> Iterator[str]:
    tally.start()
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", None) or type(error).__name__
            raise GrowBenchError(f"{path}, line {number}: not JSON ({reason}); fix or remove the line") from error
        if text := tally.text(row, text_key, f"{path}, line {number}"):
            yield text
    tally.check()
