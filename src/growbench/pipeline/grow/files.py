"""Names and types of Hugging Face directories' files, and what is safe to read of them.

Only safetensors are read. Nothing is unpickled, no code from a checkpoint's directory is run, and no symbolic link is
followed out of it, except a hub cache's own.
"""

import json
from pathlib import Path
from typing import Any

import torch

from growbench.errors import GrowBenchError

CONFIG, REPORT, CARD = "config.json", "growth.json", "README.md"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
TOKENIZER = ("tokenizer.json", "vocab.*", "merges.txt", "*.model")  # a tokenizer has one of these
READ = ("*.json", "*.safetensors", "*.txt", "*.jinja", "vocab.*", "*.model", "LICENSE*", "NOTICE*")  # checked for links
DTYPES = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}
STORED = {code: getattr(torch, name) for name, code in DTYPES.items()}
CODES = {dtype: code for code, dtype in STORED.items()}


def inside(path: Path, folder: Path) -> bool:
    """Whether a path leads to something inside the folder, or to a hub cache's own blobs."""
    real = folder.resolve()
    places = [real, real.parents[1] / "blobs"] if real.parent.name == "snapshots" else [real]
    return any(path.resolve().is_relative_to(place) for place in places)


def check_links(folder: Path) -> None:
    """Raise GrowBenchError if a file that may be read is a symbolic link out of the folder. A hub cache's own are fine."""
    for path in sorted({path for pattern in READ for path in folder.glob(pattern)}):
        if path.is_symlink() and not inside(path, folder):
            raise GrowBenchError(
                f"{path}: is a symbolic link to {path.resolve()}, outside this directory; replace it by a copy of the file"
            )


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON file's mapping. Raises GrowBenchError with the file's name if it is missing or damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise GrowBenchError(f"{path}: no such file; use a directory that save_pretrained wrote") from error
    except (OSError, ValueError, RecursionError) as error:
        raise GrowBenchError(f"{path}: not a complete JSON file; write it again with save_pretrained") from error
    if not isinstance(values, dict):
        raise GrowBenchError(f"{path}: not a JSON object; write it again with save_pretrained")
    return values


def name_of(dtype: torch.dtype) -> str:
    """Return the name of a dtype, as in config.json."""
    return str(dtype).removeprefix("torch.")
