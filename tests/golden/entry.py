"""One golden entry: results, the versions that they stand under, and the code of the methods that made them.

Results may change if a version is raised, or if the method's own code changes, because every run records both. Nothing else
explains a change.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from golden import numbers

FOLDER = Path(__file__).resolve().parent
REMEDY = "run make golden"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One golden entry.

    versions: by where they are raised.
    code: digest of each method's code.
    results: by method; lists of numbers, or strings, in mappings of any depth.
    """

    versions: Mapping[str, int]
    code: Mapping[str, str]
    results: Mapping[str, Any]


def unexplained(old: Entry, new: Entry, tolerance: float) -> str:
    """Return in one line what differs although no version was raised and no code of its method changed; empty if nothing."""
    if old.versions != new.versions:
        return ""
    for method in old.results.keys() & new.results.keys():
        if old.code.get(method) == new.code.get(method):
            for where, before, now in differences(old.results[method], new.results[method], tolerance):
                raised = " or ".join(key for key in new.versions)
                return f"{method}, {where}: {_short(now)} instead of {_short(before)}; raise {raised}, then {REMEDY}"
    return ""


def stale(old: Entry, new: Entry) -> str:
    """Return in one line why an entry must be made again; empty if it need not be."""
    for key, version in new.versions.items():
        if old.versions.get(key) != version:
            return f"{key} is {version}, but the golden results are those of {old.versions.get(key)}; {REMEDY}"
    for method in sorted(old.code.keys() | new.code.keys()):
        if old.code.get(method) != new.code.get(method):
            return f"the code of {method} is not that of the golden results; {REMEDY}"
    return ""


def differences(old: Any, new: Any, tolerance: float, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield (where, before, now) of everything that does not agree. tolerance: as a share of the largest number of a list."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted(old.keys() | new.keys()):
            place = f"{where}, {key}" if where else key
            yield from differences(old.get(key, "nothing"), new.get(key, "nothing"), tolerance, place)
    elif not numbers.agree(old, new, tolerance):
        yield where, old, new


def read(name: str) -> dict[str, Entry]:
    """Return the entries of a file; none if there is no file."""
    path = FOLDER / f"{name}.json"
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {key: Entry(**values) for key, values in stored.items()}


def write(name: str, entries: Mapping[str, Entry]) -> None:
    """Write a file: mappings indented, lists on one line."""
    values = {key: asdict(entry) for key, entry in entries.items()}
    (FOLDER / f"{name}.json").write_text(f"{_text(values)}\n", encoding="utf-8")


def _text(value: Any, indent: str = "") -> str:
    if not isinstance(value, Mapping) or not value:
        return json.dumps(value)
    inner = [f"{indent} {json.dumps(key)}: {_text(each, indent + ' ')}" for key, each in value.items()]
    return "{\n" + ",\n".join(inner) + f"\n{indent}}}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
