"""Write safetensors files of limited size, one tensor at a time, with the index that says where each tensor is."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from growbench.errors import GrowBenchError
from growbench.pipeline.grow.files import CODES

UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMGT]B|)")


def size_of(text: str) -> int:
    """Return the bytes of a size such as `5GB`. Raises GrowBenchError for anything else."""
    match = SIZE.fullmatch(text.strip().upper())
    if match is None or (size := int(float(match[1]) * UNITS[match[2]])) < 1:
        raise GrowBenchError(f"--shard-size {text}: not a size; write, for example, 5GB")
    return size


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of one tensor: its shape, and the type in which it is stored."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def bytes(self) -> int:
        return torch.Size(self.shape).numel() * self.dtype.itemsize


Layout = Mapping[str, Slot]


def divided(layout: Layout, limit: int, stem: str = "model") -> dict[str, Layout]:
    """Return the layout of each file, by its name: as few files as hold at most `limit` bytes of tensors each.

    Tensors keep their order. A tensor that is larger than the limit has a file of its own.
    """
    parts: list[dict[str, Slot]] = [{}]
    held = 0
    for name, slot in layout.items():
        if parts[-1] and held + slot.bytes > limit:
            parts.append({})
            held = 0
        parts[-1][name] = slot
        held += slot.bytes
    if len(parts) == 1:
        return {f"{stem}.safetensors": parts[0]}
    return {f"{stem}-{i:05}-of-{len(parts):05}.safetensors": part for i, part in enumerate(parts, 1)}


def size_in(files: Mapping[str, Layout]) -> int:
    """Return the bytes of the tensors of some files."""
    return sum(slot.bytes for layout in files.values() for slot in layout.values())


def write(folder: Path, files: Mapping[str, Layout], tensors: Iterable[tuple[str, Tensor]]) -> int:
    """Write files whose tensors come in the layout's order, and an index if they are several. Return their bytes.

    One tensor is written while the next is made; no others are in memory. Raises RuntimeError if they differ from the
    layout. Format: header length (8 bytes, little-endian), JSON header padded to 8, raw little-endian data without gaps.
    """
    given, written = iter(tensors), 0
    with ThreadPoolExecutor(1) as writer:
        pending: Future[Any] | None = None
        for file_name, layout in files.items():
            header = _header(layout)
            with open(folder / file_name, "wb") as file:
                file.write(header)
                for name, slot in layout.items():
                    got, tensor = next(given, (None, torch.empty(0)))
                    if (got, tuple(tensor.shape)) != (name, slot.shape):
                        raise RuntimeError(
                            f"{folder / file_name}: {got} {tuple(tensor.shape)} is not {name} {slot.shape}"
                        )
                    data = tensor.to(slot.dtype).contiguous().reshape(-1).view(torch.uint8).numpy().data
                    if pending is not None:
                        pending.result()
                    pending = writer.submit(_append, file, data)
                    del tensor, data
                if pending is not None:
                    pending.result()
                    pending = None
                file.flush()
                os.fsync(file.fileno())
            written += len(header) + sum(slot.bytes for slot in layout.values())
    if (left := next(given, None)) is not None:
        raise RuntimeError(f"{folder}: {left[0]} has no place in the layout")
    if len(files) > 1:
        _write_index(folder, files)
    return written


def _header(layout: Layout) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, slot in layout.items():
        begin, end = end, end + slot.bytes
        header[name] = {"dtype": CODES[slot.dtype], "shape": list(slot.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _write_index(folder: Path, files: Mapping[str, Layout]) -> None:
    """Write which file has which tensor, as save_pretrained does."""
    slots = [slot for layout in files.values() for slot in layout.values()]
    index = {
        "metadata": {
            "total_parameters": sum(torch.Size(slot.shape).numel() for slot in slots),
            "total_size": sum(slot.bytes for slot in slots),
        },
        "weight_map": {name: file for file, layout in files.items() for name in layout},
    }
    stem = next(iter(files)).partition("-")[0]
    (folder / f"{stem}.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


def _append(file: BinaryIO, data: memoryview) -> None:
    """Write `data` and start writing it to disk, so that less remains for the final sync."""
    begin = file.tell()
    file.write(data)
    file.flush()
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file.fileno(), begin, len(data), os.POSIX_FADV_DONTNEED)
