"""CSV files that lie beside a record, which holds their SHA-256."""

import hashlib
from pathlib import Path

from growbench.errors import GrowBenchError
from growbench.runtime import durable

REMEDY = "restore it, or delete it and its record and run the job again"


def write(path: Path, text: str) -> str:
    """Write a file's text, atomically, and return its SHA-256."""
    durable.write_text(path, text)
    return hashlib.sha256(text.encode()).hexdigest()


def read(path: Path, sha256: str, what: str) -> bytes:
    """Return a file's bytes. Raises GrowBenchError if it is missing or not the one of its record.

    sha256: as its record has it. what: the file, in words.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise GrowBenchError(f"{path}: no such {what}; delete the record beside it and run its job again") from error
    except OSError as error:
        raise durable.fault(path, error) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise GrowBenchError(f"{path}: not the {what} of its record, its SHA-256 does not match; {REMEDY}")
    return data
