"""Carry the files of a source's directory: everything but weights, their index, the config and optimizer state."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError
from growbench.pipeline.grow import files
from growbench.spec import ModelSpec

OWN = "source"  # the folder of the target's directory for source files whose names the growth itself writes
WRITTEN = (files.CARD, files.REPORT)
WEIGHTS = (
    "*.safetensors", "*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.onnx", "*.onnx_data", "*.gguf", "*.ot",
    "*.npz", "*.pkl", "*.pickle", "*.tflite", "*.distcp",
)  # fmt: skip
STATE = (
    "optimizer*",
    "scheduler.*",
    "scaler.*",
    "rng_state*",
    "random_states_*",
    "trainer_state.json",
    "training_args.bin",
)
SIZES = ("params.json", "openvino_model.xml")  # describe the source's sizes to other readers
FOLDERS = {  # that are not looked into
    "optimizer": "optimizer state",
    "global_step*": "optimizer state",
    "checkpoint-*": "another checkpoint",
    ".git": "a hidden folder",
    ".cache": "a hidden folder",
    ".huggingface": "a hidden folder",
}
POOLING = "*_Pooling/config.json"  # of sentence-transformers, with the hidden size
POOLED = ("word_embedding_dimension", "embedding_dimension")


@dataclass(slots=True)
class Inventory:
    """What becomes of the files of a source's directory; names are relative, with slashes.

    carried: each carried file, and its name in the target's directory.
    left: each file or folder that is not carried, and why.
    resized: what carried files hold that do not stay as they are: a pooling's config has the hidden size.
    """

    carried: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    resized: dict[str, dict[str, Any]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return what the report says of the files."""
        return {"carried": self.carried, "changed": sorted(self.resized), "not_carried": self.left}


def inventory(folder: Path, before: ModelSpec, after: ModelSpec) -> Inventory:
    """Return what becomes of each file of a directory with a model of the shape `before`.

    Raises GrowBenchError for an adapter, which must be merged first.
    """
    found = Inventory()
    for name, reason in _walked(folder):
        if reason is None and fnmatch(name, "adapter_config.json"):
            raise GrowBenchError(
                f"{folder / name}: an adapter changes these weights; merge it first (peft: merge_and_unload), or remove it"
            )
        if reason is None:
            found.carried[name] = f"{OWN}/{name}" if name in WRITTEN or name.startswith(f"{OWN}/") else name
            if fnmatch(name, POOLING) and (values := _resized(folder / name, before.hidden, after.hidden)):
                found.resized[name] = values
        else:
            found.left[name] = reason
    return found


def _walked(folder: Path) -> Iterator[tuple[str, str | None]]:
    """Yield each file, and each folder that is left out as a whole, with the reason why it is not carried, if any."""
    for place, folders, names in os.walk(folder):
        here = Path(place)
        for name in sorted(folders):
            path = here / name
            reason = next((why for pattern, why in FOLDERS.items() if fnmatch(name, pattern)), None)
            if path.is_symlink():
                reason = "a symbolic link to a folder"
            if reason is not None:
                folders.remove(name)
                yield f"{path.relative_to(folder).as_posix()}/", reason
        folders.sort()
        for name in sorted(names):
            yield (here / name).relative_to(folder).as_posix(), _reason(here / name, folder)


def _reason(path: Path, folder: Path) -> str | None:
    """Return why a file is not carried; None if it is."""
    name = path.relative_to(folder).as_posix()
    if name == files.CONFIG:
        return "written anew, with all of its keys"
    if any(fnmatch(path.name, pattern) for pattern in STATE):
        return "optimizer state"
    if any(fnmatch(path.name, pattern) for pattern in WEIGHTS):
        return "weights"
    if path.name.endswith(".index.json"):
        return "the index of weights"
    if path.name in SIZES:
        return "the source's sizes"
    if path.is_symlink() and not files.inside(path, folder):
        return "a symbolic link out of the directory"
    return None if path.is_file() else "not a file"


def size(folder: Path, found: Inventory) -> int:
    """Return the bytes of the carried files."""
    return sum((folder / name).stat().st_size for name in found.carried)


def carry(source: Path, out: Path, found: Inventory) -> None:
    """Copy the carried files."""
    for name, new in found.carried.items():
        path = out / new
        path.parent.mkdir(parents=True, exist_ok=True)
        if name in found.resized:
            path.write_text(json.dumps(found.resized[name], indent=2) + "\n", encoding="utf-8")
        else:
            shutil.copyfile(source / name, path)


def _resized(path: Path, before: int, after: int) -> dict[str, Any]:
    """Return a pooling's config with the target's hidden size; empty if it does not have the source's."""
    values = files.read_json(path)
    held = [key for key in POOLED if values.get(key) == before]
    return values | dict.fromkeys(held, after) if held and before != after else {}
