"""Where a run lies, and what other stages take of a finished one: its record and its finished points, whole and of the
study's own config.
"""

from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError
from growbench.records import record
from growbench.runtime import durable


def run_name(method: str, seed: int) -> str:
    return f"{method}-s{seed}"


def run_folder(study: Any, method: str, seed: int) -> Path:
    """Return the folder of a run's checkpoints and finished points."""
    return study.folder / "runs" / run_name(method, seed)


def place(study: Any, method: str, seed: int) -> Path:
    """Return the path of a run's record."""
    return study.folder / "records" / "pretrain" / f"{run_name(method, seed)}.json"


def values(study: Any, method: str, seed: int) -> dict[str, Any]:
    """Return a run's record. Raises GrowBenchError where it is missing, damaged or of another config."""
    path = place(study, method, seed)
    found, own = record.read(path), record.digest(study.trained_part())
    if found.get("config_hash") != own:
        raise GrowBenchError(
            f"{path}: config_hash {found.get('config_hash')} is of another config, this one's is {own}; {_remedy(method)} again"
        )
    return found


def point(study: Any, method: str, seed: int, name: str) -> Path:
    """Return the folder of a finished point. Raises GrowBenchError where it is missing, damaged or of another config."""
    if place(study, method, seed).exists():
        values(study, method, seed)
    return whole(run_folder(study, method, seed) / "points" / name, method)


def whole(folder: Path, method: str) -> Path:
    """Return the folder of a finished point. Raises GrowBenchError where it is missing or damaged."""
    if not folder.is_dir():
        raise GrowBenchError(f"{folder}: no finished point there; {_remedy(method)} first")
    if found := durable.damage(folder):
        raise GrowBenchError(f"{found}; delete {folder.parents[1]} and {_remedy(method)} again")
    return folder


def _remedy(method: str) -> str:
    return f"run `growbench pretrain --method {method}`"
