"""What other steps take from a finished run: its record and its finished points, complete and made with the same config."""

from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError
from growbench.records import record
from growbench.records.layout import Layout
from growbench.runtime import durable


def values(layout: Layout, config_hash: str, method: str, seed: int) -> dict[str, Any]:
    """Return a run's record. Raises GrowBenchError if it is missing, damaged or of another config.

    config_hash: digest of the part of the config that trained models depend on.
    """
    path = layout.run_record(method, seed)
    found = record.read(path, "pretrain", method, seed)
    if found.get("config_hash") != config_hash:
        raise GrowBenchError(
            f"{path}: config_hash is {found.get('config_hash')}, but this config's is {config_hash}; {_remedy(method)} again"
        )
    return found


def point(layout: Layout, config_hash: str, method: str, seed: int, name: str) -> Path:
    """Return the folder of a finished point. Raises GrowBenchError if it is missing, damaged or of another config."""
    if layout.run_record(method, seed).exists():
        values(layout, config_hash, method, seed)
    return complete(layout.run(method, seed).point(name), method)


def complete(folder: Path, method: str) -> Path:
    """Return the folder of a finished point. Raises GrowBenchError if it is missing or damaged."""
    if not folder.is_dir():
        raise GrowBenchError(f"{folder}: no finished point here; {_remedy(method)} first")
    if found := durable.damage(folder):
        raise GrowBenchError(f"{found}; delete {folder.parents[1]} and {_remedy(method)} again")
    return folder


def _remedy(method: str) -> str:
    return f"run `growbench pretrain --method {method}`"
