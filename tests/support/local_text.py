"""A study of local text: its documents, and a corpus built from them."""

import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import zstandard

from growbench.pipeline.corpus import corpus, run
from growbench.study import config, files
from growbench.study.study import Study

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [f"Document {i} tells of number {i * 7 % 23} .\nIts second line is number {i % 5} ." for i in range(240)]
BLANK = "\n\n".join(DOCUMENTS) + "\n"
LINES = "\n".join(text.replace("\n", " ") for text in DOCUMENTS)
JSONL = "\n".join(json.dumps({"body": text, "id": i}) for i, text in enumerate(DOCUMENTS))


def study(folder: Path, **keys: Any) -> Study:
    """Return a study of the local text below folder/data, with corpus keys changed."""
    values = files.read(ROOT / "config/demo.yaml")
    local = {"source": "local", "train": "*", "tokenizer": "wordpiece", "vocab": 160, "valid_fraction": 0.2}
    values["corpus"] = {**values["corpus"], **local, **keys}
    values["tasks"] = {"source": "local", "names": ["CoLA"]}
    values["data"] = {**values["data"], "dir": str(folder / "data"), "repeat": True}
    return config.load(values)


def write(path: Path, text: str) -> None:
    """Write text, compressed as the name of the file says."""
    data = text.encode()
    packers = {".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstandard.ZstdCompressor().compress}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packers.get(path.suffix, bytes)(data))


def built(made: Study) -> corpus.Corpus:
    """Build a study's corpus and open it."""
    return corpus.load(run.build(made).parent)
