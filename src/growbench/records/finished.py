"""What other steps take from a finished run: its record and its finished points, if they are complete and what is wanted."""

from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError
from growbench.records import identity, record, restored
from growbench.records.identity import Identity
from growbench.records.layout import Layout
from growbench.runtime import durable


def values(layout: Layout, wanted: Identity, method: str, seed: int) -> dict[str, Any]:
    """Return a run's record. Raises GrowBenchError if it is missing, damaged or made from something else.

    wanted: the parts of its identity that the reader knows.
    """
    path = layout.run_record(method, seed)
    found = record.read(path, "pretrain", method, seed)
    if changed := identity.changes(found.get("identity"), wanted):
        raise GrowBenchError(f"{path}: {changed}; {_remedy(method)} again")
    return found


def point(layout: Layout, wanted: Identity, method: str, seed: int, name: str) -> Path:
    """Return the folder of a finished point. Raises GrowBenchError if it is missing, damaged or made from something else.

    wanted: the parts of its identity that the reader knows; it must also be what the run's record says, if there is one.
    """
    folder, path = layout.run(method, seed).point(name), layout.run_record(method, seed)
    found = values(layout, wanted, method, seed) if path.exists() else None
    complete(folder, method)
    recorded = {key: value for key, value in found["identity"].items() if value is not None} if found else {}
    if changed := difference(folder, recorded | wanted):
        raise GrowBenchError(f"{folder}: {changed}; {_remedy(method)} again")
    named = [p.get("model") for p in found["points"] if p["point"] == name] if found else [None]
    if None not in named and represented(folder)[0] not in named:
        raise GrowBenchError(f"{folder}: not the model of {path}; {_remedy(method)} again")
    return folder


def complete(folder: Path, method: str) -> Path:
    """Return the folder of a finished point. Raises GrowBenchError if it is missing or damaged."""
    if not folder.is_dir():
        raise GrowBenchError(f"{folder}: no finished point here; {_remedy(method)} first")
    if found := durable.damage(folder):
        raise GrowBenchError(f"{found}; {_remedy(method)} again")
    return folder


def difference(folder: Path, wanted: Identity) -> str:
    """Return in words how the identity of a finished point differs from what is wanted; empty if it does not."""
    try:
        made = durable.read_json(folder / identity.FILE)
    except GrowBenchError:  # missing or damaged
        made = None
    return identity.changes(made, wanted)


def model(folder: Path) -> str:
    """Return the digest of the weights in the folder of a complete finished point: their file's SHA-256.

    Of several files, the digest of all their names and SHA-256.
    """
    sealed = durable.read_json(folder / durable.SEAL)
    files = {name: of["sha256"] for name, of in sealed.items() if name.endswith(".safetensors")}
    return str(next(iter(files.values()))) if len(files) == 1 else identity.digest(files)


def represented(folder: Path) -> tuple[str, float | None]:
    """Return the digest of the model that a record names for a complete finished point: of its weights, if not restored.

    The second value is how much higher the loss of a restored point is than the record's (nats); None for the very model.
    """
    own = model(folder)
    return restored.stands_for(folder, own) or (own, None)


def _remedy(method: str) -> str:
    return f"run `growbench pretrain --config FILE --method {method} --seed N`"
