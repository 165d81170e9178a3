"""Compare the files of two runs of a study byte by byte, except what no run can repeat, such as its duration."""

import csv
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

LEFT_OUT = {  # fields of records, checkpoints and manifests that are not compared
    "wall_seconds": "the clock",
    "cpu_seconds": "the CPU clock, which other work on the machine changes",
    "seconds": "the clock, in a fine-tuning run or a corpus",
    "wall": "the clock, in a checkpoint",
    "peak_memory_mb": "of the process; an interrupted run has several",
    "date": "of the record",
}
DIGESTS = ("curve", "digest")  # of files and records that hold such fields
COLUMN = re.compile("wall|seconds|memory")  # headings of the columns of tables that come from these fields
METRIC = "metric"  # the column of runs.csv that names the field
UNFINISHED = re.compile(r"/state\.(old|damaged)/")  # earlier checkpoints, whose step depends on when they were saved


def differences(one: Path, other: Path) -> list[str]:
    """Return one line per file that differs between two folders: it is missing, or more than the fields left out differs."""
    a, b = contents(one), contents(other)
    missing = [f"{name}: only in {one if name in a else other}" for name in sorted(a.keys() ^ b.keys())]
    return missing + [f"{name}: differs" for name in sorted(a.keys() & b.keys()) if a[name] != b[name]]


def contents(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of the compared bytes of every file below a folder, by name."""
    files = [path for path in folder.rglob("*") if path.is_file() and not UNFINISHED.search(path.as_posix())]
    return {path.relative_to(folder).as_posix(): hashlib.sha256(compared(path)).hexdigest() for path in files}


def compared(path: Path) -> bytes:
    """Return the bytes of a file without the fields left out."""
    if path.suffix == ".json":
        return json.dumps(_fields(json.loads(path.read_bytes()), path.parent.name)).encode()
    if path.suffix in KINDS and ("tables" in path.parts or path.suffix == ".csv"):
        return KINDS[path.suffix](path.read_text(encoding="utf-8")).encode()
    return path.read_bytes()


def _fields(values: Any, folder: str) -> Any:
    if isinstance(values, dict):
        left_out = {
            *LEFT_OUT,
            *(["state.json"] if folder == "state" else []),
        }  # its digest covers fields left out
        digests = {key for key in DIGESTS if isinstance(values.get(key), str)}
        return {key: _fields(value, folder) for key, value in values.items() if key not in left_out | digests}
    return [_fields(value, folder) for value in values] if isinstance(values, list) else values


def _csv(text: str) -> str:
    head, *rows = csv.reader(io.StringIO(text))
    if METRIC in head:
        rows = [row for row in rows if row[head.index(METRIC)] not in LEFT_OUT]
    return "\n".join("\t".join(row) for row in _columns([head, *rows]))


def _lines(text: str, cut: str) -> str:
    """Return a page with columns left out of its tables. Cells are separated by `cut`; a line without it ends a table."""
    kept: list[str] = []
    table: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        cells = line.removesuffix(r" \\").split(cut)
        ruled = line.startswith("\\midrule")
        if len(cells) > 2 and (not table or len(cells) == len(table[0])):
            table.append(cells)
        elif not ruled:
            kept += [cut.join(row) for row in _columns(table)]
            kept.append(line)
            table = []
    return "\n".join(kept)


def _columns(rows: list[list[str]]) -> list[list[str]]:
    """Return rows without the columns whose heading names time or memory."""
    keep = [i for i, name in enumerate(rows[0]) if not COLUMN.search(name)] if rows else []
    return [[row[i] for i in keep] for row in rows]


KINDS = {".csv": _csv, ".md": lambda text: _lines(text, "|"), ".tex": lambda text: _lines(text, " & ")}
