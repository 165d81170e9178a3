"""Files of Hugging Face directories: read the config, write tensors one at a time, copy what belongs to the tokenizer.

Only safetensors are read. Nothing is unpickled, no code from a checkpoint's directory is run, and no symbolic link is
followed out of it, except a hub cache's own.
"""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from growbench import families
from growbench.errors import GrowBenchError

WEIGHTS, INDEX, REPORT = "model.safetensors", "model.safetensors.index.json", "growth.json"
TOKENIZER = ("tokenizer.json", "vocab.*", "merges.txt", "*.model")  # a tokenizer has one of these
CARRIED = (
    "tokenizer*.json",
    "vocab.*",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "*.model",
    "chat_template.*",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "LICENSE*",
    "NOTICE*",
)
READ = ("*.json", "*.safetensors", "*.txt", "*.jinja", *CARRIED)  # what growing, transformers or a tokenizer may read
DTYPES = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}
STORED = {code: getattr(torch, name) for name, code in DTYPES.items()}
CODES = {dtype: code for code, dtype in STORED.items()}


def check_links(folder: Path) -> None:
    """Raise GrowBenchError if a file that may be read is a symbolic link out of the folder. A hub cache's own are fine."""
    real = folder.resolve()
    inside = [real, real.parents[1] / "blobs"] if real.parent.name == "snapshots" else [real]
    for path in sorted({path for pattern in READ for path in folder.glob(pattern)}):
        if path.is_symlink() and not any(path.resolve().is_relative_to(place) for place in inside):
            raise GrowBenchError(
                f"{path}: is a symbolic link to {path.resolve()}, outside this directory; replace it by a copy of the file"
            )


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON file's mapping. Raises GrowBenchError with the file's name if it is missing or damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise GrowBenchError(f"{path}: no such file; use a directory that save_pretrained wrote") from error
    except (OSError, ValueError) as error:
        raise GrowBenchError(f"{path}: not a complete JSON file; write it again with save_pretrained") from error
    if not isinstance(values, dict):
        raise GrowBenchError(f"{path}: not a JSON object; write it again with save_pretrained")
    return values


def read_config(folder: Path) -> Any:
    """Return the stock config of a directory. Raises GrowBenchError for an unknown family or quantized weights."""
    values = read_json(folder / "config.json")
    kind = values.get("model_type")
    if kind not in (known := families.names()):
        raise GrowBenchError(
            f"{folder}/config.json: model_type {kind!r} is not known; use a model of one of {', '.join(known)}"
        )
    if "quantization_config" in values:
        raise GrowBenchError(
            f"{folder}/config.json: quantized weights cannot be grown; use the model without quantization"
        )
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder.resolve(), local_files_only=True, trust_remote_code=False)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise GrowBenchError(f"{folder}/config.json: transformers refuses it ({reason}); correct it") from error


def name_of(dtype: torch.dtype) -> str:
    """Return the name of a dtype, as in config.json."""
    return str(dtype).removeprefix("torch.")


Layout = Mapping[str, tuple[int, ...]]


def write_tensors(path: Path, layout: Layout, dtype: torch.dtype, tensors: Iterable[tuple[str, Tensor]]) -> int:
    """Write a safetensors file, with its tensors in the layout's order. Return its bytes.

    One tensor is written while the next is made; no others are in memory. Raises RuntimeError if they differ from the
    layout. Format: header length (8 bytes, little-endian), JSON header padded to 8, raw little-endian data without gaps.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in layout.items():
        begin, end = end, end + torch.Size(shape).numel() * dtype.itemsize
        header[name] = {"dtype": CODES[dtype], "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file, ThreadPoolExecutor(1) as writer:
        file.write(len(text).to_bytes(8, "little") + text)
        expected, pending = iter(layout.items()), None
        for name, tensor in tensors:
            if (name, tuple(tensor.shape)) != next(expected, None):
                raise RuntimeError(f"{path}: {name} {tuple(tensor.shape)} is not the next tensor of the header")
            data = tensor.to(dtype).contiguous().reshape(-1).view(torch.uint8).numpy().data
            if pending is not None:
                pending.result()
            pending = writer.submit(_append, file, data)
            del tensor, data
        if pending is not None:
            pending.result()
        if (left := next(expected, None)) is not None:
            raise RuntimeError(f"{path}: {left[0]} was not written")
        file.flush()
        os.fsync(file.fileno())
    return 8 + len(text) + end


def _append(file: BinaryIO, data: memoryview) -> None:
    """Write `data` and start writing it to disk, so that less remains for the final sync."""
    begin = file.tell()
    file.write(data)
    file.flush()
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file.fileno(), begin, len(data), os.POSIX_FADV_DONTNEED)


def carry(source: Path, out: Path) -> list[str]:
    """Copy tokenizer, generation config and license files. Return their names."""
    names = sorted({path.name for pattern in CARRIED for path in source.glob(pattern) if path.is_file()})
    for name in names:
        shutil.copyfile(source / name, out / name)
    return names
