"""Small Hugging Face directories, and `growbench grow` on them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from support.helpers import SOURCE, SPECS, move, perturbed

from growbench import families
from growbench.cli import main as cli
from growbench.pipeline.grow import files
from growbench.pipeline.grow import run as verb
from growbench.pipeline.grow.check import Request
from growbench.spec import MIXTURE_KEYS, SHAPE_KEYS

FPI = "bert2bert_fpi"


def saved(folder: Path, name: str = "bert", dtype: torch.dtype = torch.float32, **settings: Any) -> Path:
    """A directory with a small trained model of a family."""
    spec = SOURCE if name == "bert" else SPECS[name]
    perturbed(families.load(name), spec, dtype=dtype, **settings).to(dtype).save_pretrained(folder)
    return folder


def headed(folder: Path, model_class: Any, **settings: Any) -> Path:
    """A directory with a small BERT of another stock class."""
    torch.manual_seed(0)
    move(model_class(families.load("bert").config(SOURCE, **settings)), 1).save_pretrained(folder)
    return folder


def request(source: Path, out: Path, *, method: str = FPI, **values: Any) -> Request:
    sizes = {key: values.pop(key, None) for key in (*SHAPE_KEYS, *MIXTURE_KEYS)}
    return Request(source=source, out=out, method=method, sizes=sizes, **values)


def grow(source: Path, out: Path, **values: Any) -> dict[str, Any]:
    return verb.run(request(source, out, **values))


def keys(folder: Path) -> set[str]:
    with safe_open(folder / files.WEIGHTS, "pt") as file:
        return set(file.keys())


def refusal(capsys: pytest.CaptureFixture[str], source: Path, out: Path, *words: str, method: str = FPI) -> str:
    """Run the verb, which must refuse before it writes anything, and return its line."""
    around = {path: path.lstat().st_mtime_ns for path in out.parent.rglob("*")}
    assert cli.main(["grow", str(source), str(out), "--method", method, *words]) == 2
    assert {path: path.lstat().st_mtime_ns for path in out.parent.rglob("*")} == around
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("growbench: ") and captured.err.count("\n") == 1
    return captured.err
