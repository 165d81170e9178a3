"""Hugging Face directories: the config is read, tensors are written one after another, and the whole appears at once.

Only safetensors are read: nothing is unpickled, and no code that lies beside a checkpoint is run.
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
    *(
        "tokenizer*.json",
        "vocab.*",
        "merges.txt",
        "special_tokens_map.json",
        "added_tokens.json",
        "*.model",
        "chat_template.*",
    ),
    *("generation_config.json", "preprocessor_config.json", "processor_config.json", "LICENSE*", "NOTICE*"),
)
DTYPES = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}
STORED = {code: getattr(torch, name) for name, code in DTYPES.items()}
CODES = {dtype: code for code, dtype in STORED.items()}


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON file's mapping; raise GrowBenchError naming the file when it is missing or damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise GrowBenchError(f"{path}: no such file; give a directory that save_pretrained wrote") from error
    except (OSError, ValueError) as error:
        raise GrowBenchError(f"{path}: not a whole JSON file; write it again with save_pretrained") from error
    if not isinstance(values, dict):
        raise GrowBenchError(f"{path}: not a JSON object; write it again with save_pretrained")
    return values


def read_config(folder: Path) -> Any:
    """Return the stock config of a directory, refused unless its family is known and its weights are plain."""
    values = read_json(folder / "config.json")
    kind = values.get("model_type")
    if kind not in (known := families.names()):
        raise GrowBenchError(f"{folder}/config.json: model_type {kind!r} is not known; known: {', '.join(known)}")
    if "quantization_config" in values:
        raise GrowBenchError(f"{folder}/config.json: quantised weights cannot be grown; use the unquantised model")
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder.resolve(), local_files_only=True, trust_remote_code=False)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise GrowBenchError(f"{folder}/config.json: refused by transformers ({reason}); correct it") from error


def name_of(dtype: torch.dtype) -> str:
    """The word for a dtype, as in config.json."""
    return str(dtype).removeprefix("torch.")


Layout = Mapping[str, tuple[int, ...]]


def write_tensors(path: Path, layout: Layout, dtype: torch.dtype, tensors: Iterable[tuple[str, Tensor]]) -> int:
    """Write a safetensors file, tensors in the layout's order; return its bytes.

    One tensor is written while the next is made; no others are alive. Raises RuntimeError when they are not the layout's.
    Format: header length (8 bytes, little-endian), JSON header padded to 8, raw little-endian data without gaps.
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
    """Write `data` and let the disk begin on it, so that less is left for the final sync."""
    begin = file.tell()
    file.write(data)
    file.flush()
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file.fileno(), begin, len(data), os.POSIX_FADV_DONTNEED)


def check_out(source: Path, out: Path) -> None:
    """Raise GrowBenchError unless `out` is absent or empty, and neither lies in the other."""
    if not source.is_dir():
        raise GrowBenchError(f"{source}: no such directory; give one that save_pretrained wrote")
    a, b = source.resolve(), out.resolve()
    if a == b or a in b.parents:
        raise GrowBenchError(f"{out}: lies in the source directory {source}; give another place")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise GrowBenchError(f"{out}: exists already; remove it or give another name")
    if b == Path.cwd() or b in Path.cwd().parents:
        raise GrowBenchError(f"{out}: is or holds the current directory, which cannot be replaced; give another place")
    part = partial(out)
    if part == a or part in a.parents:
        raise GrowBenchError(
            f"{part}: is where {out} is written before it is whole, and the source; rename one of them"
        )
    if part.exists() and not _unfinished(part):
        raise GrowBenchError(f"{part}: is in the way and not an unfinished growth; move it")


def require_room(out: Path, size: int) -> None:
    """Raise GrowBenchError unless the disk of `out` has room for `size` bytes."""
    place = next(p for p in out.resolve().parents if p.is_dir())
    if (free := shutil.disk_usage(place).free) < size:
        raise GrowBenchError(
            f"{out}: needs {size / 1e9:.3g} GB, {free / 1e9:.3g} GB are free; give a place with more room"
        )


def _unfinished(part: Path) -> bool:
    """Whether a folder is what a crash left: its report is there and empty."""
    report = part / REPORT
    return report.is_file() and report.stat().st_size == 0


def partial(out: Path) -> Path:
    """Where a directory is written before it is whole."""
    return out.resolve().with_name(out.resolve().name + ".tmp")


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """Give a folder to write into that becomes `out` at the end; nothing is left of it after an error.

    Its empty report marks it as unfinished, so that the same command can take it away after a crash.
    """
    part, out = partial(out), out.resolve()
    with lock.held(part.with_name(f".{out.name}.lock")), durable.writing(out):
        if _unfinished(part):
            shutil.rmtree(part)
        part.mkdir(parents=True)
        try:
            (part / REPORT).touch()
            yield part
            for path in [*part.iterdir(), part]:
                durable.sync(path)
            os.replace(part, out)
            durable.sync(out.parent)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise


def carry(source: Path, out: Path) -> list[str]:
    """Copy tokenizer, generation config and licence; return their names."""
    names = sorted({path.name for pattern in CARRIED for path in source.glob(pattern) if path.is_file()})
    for name in names:
        shutil.copyfile(source / name, out / name)
    return names
