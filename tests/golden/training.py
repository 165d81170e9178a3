"""What training gives: the losses of short runs, one for each objective and each kind of stage."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support import tiny

from golden import numbers
from golden.entry import Entry
from growbench import families, growth, methods, train
from growbench.pipeline.pretrain import run as pretrain
from growbench.records import curve
from growbench.runtime import durable
from growbench.study.study import Study

COMPOUND = {"of": "compoundgrow"}
CASES: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {  # family, method, its entry, other keys
    "masked tokens": ("bert", "scratch", {}, {"train.precision": "float32"}),
    "next token": ("gpt2", "scratch", {}, {"train.precision": "float32"}),
    "dropout, micro-batches": ("bert", "scratch", {}, {"train.dropout": 0.1, "train.accumulate": 2}),
    "source": ("bert", "source", {}, {}),
    "top layers": ("bert", "mslt", {}, {}),
    "pooled": ("bert", "compoundgrow", {}, {}),
    "cut": ("gpt2", "compoundgrow", {"length": "cut"}, {}),
    "low rank": ("bert", "thin", {**COMPOUND, "only": "ffn", "ffn": "factor"}, {}),
    "shared attention": ("bert", "thin", {**COMPOUND, "only": "layers", "layers": "attention"}, {}),
    "teacher": ("bert", "ki", {}, {}),
    "masks": ("bert", "msg", {}, {}),
    "masks on outputs": ("bert", "msg", {"masks": "outputs", "where": "first"}, {}),
    "masks in turns": ("bert", "msg", {"turns": True, "ramp": 0.2}, {}),
    "grown moments": ("bert", "staged", {}, {}),
    "a second warm-up": ("gpt2", "stackbert", {"rate": "rewarm", "optimizer": "copy"}, {}),
}


def results(case: str) -> dict[str, Any]:
    """Return the golden results of one case: the FLOPs, learning rates and losses of its curve."""
    family, method, entry, changes = CASES[case]
    study = _study(family, method, entry, changes)
    with _elsewhere():
        tiny.corpus(study.layout.corpus)
        for name in dict.fromkeys(("source", method)):
            pretrain.run(study, name, 0)
        path = study.layout.curve(method, 0)
        rows = curve.read(path, durable.digest(path))
    names = {"cost in FLOPs": "flops", "learning rate": "lr", "training loss": "train_loss", "loss": "valid_loss"}
    return {word: [numbers.rounded(float(v)) for v in rows[column].dropna()] for word, column in names.items()}


def entry(case: str) -> Entry:
    """Return a case's golden entry."""
    family, method, options, _ = CASES[case]
    name = str(options.get("of", method))
    needed = {"train.VERSION": train.VERSION, f"version in families/{family}.py": families.load(family).version}
    if name not in ("scratch", "source"):
        needed["growth.VERSION"] = growth.VERSION
    code = {} if name == "source" else {name: methods.code(name)}
    return Entry(versions=needed, code=code, results={name: results(case)})


def _study(family: str, method: str, entry: dict[str, Any], changes: dict[str, Any]) -> Study:
    """Return the study of a case: float64 unless it says otherwise, so that rounding does not show."""
    own = {"scratch": None} if method == "source" else {"scratch": None, method: entry or None}
    usual = {"train.precision": "float64", "budget.steps": 24, "source.steps": 12, "train.eval_sequences": 16}
    return tiny.study(**{"target.family": family, "methods": own, **usual, **changes})


@contextmanager
def _elsewhere() -> Iterator[None]:
    """Work in a folder that is removed afterwards."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="growbench-golden-") as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)
