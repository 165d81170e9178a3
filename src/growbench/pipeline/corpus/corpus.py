"""A built corpus: memory-mapped token ids and their manifest."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from growbench.errors import GrowBenchError
from growbench.pipeline.corpus import held_out
from growbench.records import identity, manifest

VERSION = 3
REMEDY = "delete the folder and run `growbench corpus` again"
SPLITS = ("train", "valid", "test")
NEVER = (
    "pad",
    "cls",
    "sep",
    "mask",
)  # special tokens that a masked model neither predicts nor sees as a random replacement


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """The tokenized text of a study.

    manifest: what run.py wrote about it: vocabulary, special ids, sizes and hashes, source, entropies.
    train: the training ids [tokens], memory-mapped. Each document is its tokens followed by the sep id.
    valid: the validation ids [tokens], likewise.
    test: the test ids [tokens], likewise; None if the study has no test text.
    """

    manifest: dict[str, Any]
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray | None = None

    @property
    def digest(self) -> str:
        """The SHA-256 of all that models depend on: ids, tokenizer and entropies, but not which files the text was in."""
        return digest(self.manifest)


def documents(ids: np.ndarray, sep: int) -> np.ndarray:
    """Return the number of the document that each id belongs to, from 0; a document ends with the sep id, [tokens]."""
    ends = np.asarray(ids) == sep
    return np.asarray(np.cumsum(ends, dtype=np.int64) - ends)


def unpredicted(special: Mapping[str, int | None]) -> frozenset[int]:
    """Return the special ids that a masked model never predicts. special: as in the manifest.

    The unknown token is not one of them: texts hold it.
    """
    return frozenset(number for name in NEVER if (number := special.get(name)) is not None)


def splits(values: Mapping[str, Any]) -> list[str]:
    """Return the texts that a corpus consists of: train, valid, and test if it has one. values: of its manifest."""
    return [split for split in SPLITS if split in values]


def digest(values: dict[str, Any]) -> str:
    """Return Corpus.digest of a manifest."""
    return identity.digest({key: value for key, value in values.items() if key not in ("source", held_out.KEY)})


def load(folder: Path) -> Corpus:
    """Open a built corpus. Raises GrowBenchError naming the file that is missing or does not match the manifest."""
    values = read_manifest(folder)
    check(folder, values)
    dtype = np.dtype(values["dtype"]).newbyteorder("<")
    ids = {split: np.memmap(Path(folder) / values[split]["file"], dtype=dtype, mode="r") for split in splits(values)}
    return Corpus(manifest=values, **ids)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a corpus, whose own digest is right. The files are not looked at."""
    path = Path(folder) / "manifest.json"
    if not path.is_file():
        raise GrowBenchError(f"{path}: no corpus here; run `growbench corpus --config FILE` with this study's file")
    return manifest.read(path, VERSION, REMEDY)


def check(folder: Path, values: dict[str, Any]) -> None:
    """Raise GrowBenchError, naming the file, unless the ids and the tokenizer are those of the manifest."""
    check_tokenizer(folder, values)
    for split in splits(values):
        path = Path(folder) / values[split]["file"]
        if found := manifest.damage(path, values[split]["sha256"]):
            raise GrowBenchError(f"{path}: {found}; {REMEDY}")


def check_tokenizer(folder: Path, values: dict[str, Any]) -> None:
    """Raise GrowBenchError, naming the file, unless the tokenizer is the manifest's. Images have none."""
    if "tokenizer" not in values:
        return
    place, files = Path(folder) / values["tokenizer"]["folder"], values["tokenizer"]["files"]
    for name, sha256 in files.items():
        if found := manifest.damage(place / name, sha256):
            raise GrowBenchError(f"{place / name}: {found}; {REMEDY}")
    if more := sorted({path.name for path in place.iterdir()} - files.keys()):
        raise GrowBenchError(f"{place / more[0]}: not in the manifest; {REMEDY}")
