"""The benchmark scripts as modules, and a little text and two tasks in the layout of the real ones."""

import importlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from growbench import synthetic

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """A function that imports a benchmark by name; its modules are removed again after the test."""
    monkeypatch.syspath_prepend(str(BENCH))
    before, threads, silent = set(sys.modules), torch.get_num_threads(), logging.root.manager.disable

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load
    torch.set_num_threads(threads)
    logging.disable(silent)
    for name in {path.stem for path in BENCH.glob("*.py")} & (set(sys.modules) - before):
        del sys.modules[name]


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wikipedia/ and glue/."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "wikipedia").mkdir()
    documents = synthetic.documents(0)
    for name in ("valid", "test"):
        text = "\n\n".join(next(documents) for _ in range(250)) + "\n"
        (folder / f"wikipedia/{name}.txt").write_text(text, encoding="utf-8")
    texts = [f"{next(documents).split('.')[0][:40]}" for _ in range(60)]
    for name, lines in (
        ("CoLA", [f"gj04\t{i % 2}\t\t{text}\n" for i, text in enumerate(texts)]),
        ("SST-2", ["sentence\tlabel\n", *(f"{text}\t{i % 2}\n" for i, text in enumerate(texts))]),
    ):
        task = folder / "glue" / name
        task.mkdir(parents=True)
        for split in ("train", "dev"):
            (task / f"{split}.tsv").write_text("".join(lines), encoding="utf-8")
    return folder
