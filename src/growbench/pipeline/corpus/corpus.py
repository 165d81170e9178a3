"""A built corpus: memory-mapped token ids and their manifest."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from growbench.errors import GrowBenchError
from growbench.runtime import durable

VERSION = 1
REMEDY = "delete the folder and run `growbench corpus` again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """The tokenized text of a study.

    manifest: what run.py wrote about it: vocabulary, special ids, sizes and hashes, source, entropies.
    train: the training ids [tokens], memory-mapped. Each document is its tokens followed by the sep id.
    valid: the validation ids [tokens], likewise.
    """

    manifest: dict[str, Any]
    train: np.ndarray
    valid: np.ndarray


def load(folder: Path) -> Corpus:
    """Open a built corpus. Raises GrowBenchError naming the file that is missing or does not match the manifest."""
    folder = Path(folder)
    if not (folder / "manifest.json").is_file():
        raise GrowBenchError(f"{folder / 'manifest.json'}: no corpus here; run `growbench corpus`")
    manifest = durable.read_json(folder / "manifest.json")
    if manifest.get("version") != VERSION:
        raise GrowBenchError(f"{folder / 'manifest.json'}: version {manifest.get('version')}, not {VERSION}; {REMEDY}")
    if not (folder / manifest["tokenizer"] / "tokenizer.json").is_file():
        raise GrowBenchError(f"{folder / manifest['tokenizer'] / 'tokenizer.json'}: missing; {REMEDY}")
    ids = {split: _open_ids(folder, manifest, split) for split in ("train", "valid")}
    return Corpus(manifest=manifest, **ids)


def _open_ids(folder: Path, manifest: dict[str, Any], split: str) -> np.ndarray:
    path = folder / manifest[split]["file"]
    dtype, vocab = np.dtype(manifest["dtype"]).newbyteorder("<"), manifest["vocab"]
    if vocab > np.iinfo(dtype).max + 1:
        raise GrowBenchError(f"{path}: {dtype.name} is too small for a vocabulary of {vocab} tokens; {REMEDY}")
    expected = manifest[split]["tokens"] * dtype.itemsize
    if not path.is_file():
        raise GrowBenchError(f"{path}: missing; {REMEDY}")
    if path.stat().st_size != expected:
        raise GrowBenchError(f"{path}: {path.stat().st_size} bytes, but the manifest says {expected}; {REMEDY}")
    return np.memmap(path, dtype=dtype, mode="r")
