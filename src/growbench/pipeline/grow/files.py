"""Files of Hugging Face directories: read the config, write tensors one at a time, publish a finished directory at once.

Only safetensors are read. Nothing is unpickled, and no code from a checkpoint's directory is run.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from growbench import families
from growbench.errors import GrowBenchError
from growbench.runtime import durable, lock

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
DTYPES = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}
STORED = {code: getattr(torch, name) for name, code in DTYPES.items()}
CODES = {dtype: code for code, dtype in STORED.items()}


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


def check_out(source: Path, out: Path) -> None:
    """Raise GrowBenchError unless `out` is absent or empty, and not inside the source."""
    if not source.is_dir():
        raise GrowBenchError(f"{source}: no such directory; use one that save_pretrained wrote")
    a, b = source.resolve(), out.resolve()
    if a == b or a in b.parents:
        raise GrowBenchError(f"{out}: is inside the source directory {source}; use another directory")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise GrowBenchError(f"{out}: already exists; remove it or use another name")
    if b == Path.cwd() or b in Path.cwd().parents:
        raise GrowBenchError(
            f"{out}: is or contains the current directory, which cannot be replaced; use another directory"
        )
    folder = partial(out)
    if folder == a or folder in a.parents:
        raise GrowBenchError(
            f"{folder}: is the source, but also where {out} is written until it is complete; rename one of them"
        )
    if folder.exists() and not _unfinished(folder):
        raise GrowBenchError(f"{folder}: is in the way, and it is not an unfinished growth; move it")


def require_room(out: Path, size: int) -> None:
    """Raise GrowBenchError unless the disk of `out` has room for `size` bytes."""
    place = next(p for p in out.resolve().parents if p.is_dir())
    if (free := shutil.disk_usage(place).free) < size:
        raise GrowBenchError(
            f"{out}: needs {size / 1e9:.3g} GB, but {free / 1e9:.3g} GB are free; use a disk with more room"
        )


def _unfinished(folder: Path) -> bool:
    """Whether a folder was left by a crash: its report exists and is empty."""
    report = folder / REPORT
    return report.is_file() and report.stat().st_size == 0


def partial(out: Path) -> Path:
    """Return the folder that a directory is written to until it is complete."""
    return out.resolve().with_name(out.resolve().name + ".tmp")


@contextmanager
def atomic(out: Path) -> Iterator[Path]:
    """Yield a folder to write into. It becomes `out` at the end, and is removed after an error.

    Its empty report marks it as unfinished, so that the same command can remove it after a crash.
    """
    folder, out = partial(out), out.resolve()
    with lock.held(folder.with_name(f".{out.name}.lock")), durable.writing(out):
        if _unfinished(folder):
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        try:
            (folder / REPORT).touch()
            yield folder
            for path in [*folder.iterdir(), folder]:
                durable.sync(path)
            os.replace(folder, out)
            durable.sync(out.parent)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def carry(source: Path, out: Path) -> list[str]:
    """Copy tokenizer, generation config and license files. Return their names."""
    names = sorted({path.name for pattern in CARRIED for path in source.glob(pattern) if path.is_file()})
    for name in names:
        shutil.copyfile(source / name, out / name)
    return names
