"""A whole study of a checkpoint, from its directory to tables and figures: right after growth, and after some training."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from support.helpers import move
from transformers import BertModel, PreTrainedTokenizerFast

from growbench import families, synthetic
from growbench.cli import main as cli
from growbench.pipeline.corpus import tokenizer
from growbench.spec import ModelSpec

ROOT = Path(__file__).resolve().parents[2]
VOCAB = 320
STUDY = {
    "study": "taken", "seeds": "[0, 1]", "attention": "false", "source.layers": 99, "target.hidden": 32, "target.layers": 4,
    "target.heads": 2, "target.ffn": 64, "corpus.max_tokens": 40000, "corpus.vocab": 300,
    "budget.points": "[0.0, 0.6, 1.0]", "budget.steps": 40, "budget.total": "false", "optimizer.warmup": 4,
    "optimizer.batch": 8, "train.together": "false", "train.eval_sequences": 32, "train.final_sequences": 64,
    "tasks.names": "[paraphrase]", "finetune.max_train": 200, "finetune.max_length": 48,
}  # fmt: skip


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An encoder with its tokenizer, as it might have been downloaded."""
    monkeypatch.chdir(tmp_path)
    text = [document for document, _ in zip(synthetic.documents(7), range(300), strict=False)]
    named = {f"{key}_token": token for key, token in tokenizer.SPECIAL.items()}
    words = PreTrainedTokenizerFast(tokenizer_object=tokenizer.train("word", text, VOCAB, True), **named)
    words.save_pretrained(tmp_path / "kept")
    spec = ModelSpec(family="bert", layers=2, hidden=32, heads=2, ffn=64, vocab=VOCAB, max_length=48)
    torch.manual_seed(0)
    move(BertModel(families.load("bert").config(spec)), 1).save_pretrained(tmp_path / "kept")
    return tmp_path / "kept"


def call(verb: str, *words: str, **changes: object) -> None:
    """Call a verb of the study; it must not fail."""
    given = [f"{key}={value}" for key, value in {**STUDY, **changes}.items()]
    config = ["--config", str(ROOT / "config/demo.yaml"), *(word for text in given for word in ("--set", text))]
    assert cli.main([verb, *config, *words]) == 0


def finished(points: str, methods: dict[str, list[str]], **changes: object) -> dict[str, pd.DataFrame]:
    """Run a study to its tables and draw its figures; return the tables.

    points: that are fine-tuned. methods: with those of each.
    """
    changes = {
        "methods": f"{{all: false, {', '.join(f'{name}: ' for name in methods)}}}",
        "finetune.points": points,
        **changes,
    }
    call("check", **changes)
    call("plan", "--no-timing", **changes)
    call("corpus", **changes)
    for name, own in {"source": ["p100"], **methods}.items():
        call("pretrain", "--method", name, "--seed", "0", "1", **changes)
        call("finetune", "--method", name, "--seed", "0", "1", "--points", *own, **changes)
    call("aggregate", **changes)
    tables = Path("results/taken/tables")
    for figure in ("loss_vs_flops", "savings", "savings_by_point", "scores", "loss_after_growth", "plans"):
        words = [sys.executable, str(ROOT / f"workflow/figures/{figure}.py"), str(tables), "figures"]
        subprocess.run(words, check=True, capture_output=True)
    return {name: pd.read_csv(tables / f"{name}.csv") for name in ("points", "savings", "scores")}


@pytest.mark.slow
def test_a_checkpoint_becomes_tables_and_figures(checkpoint: Path) -> None:
    grown = {"direct_copy": ["p0", "p100"], "stack": ["p0", "p100"], "scratch": ["p0", "p100"]}
    found = finished("[0.0, 1.0]", grown, **{"source.path": checkpoint})
    points = found["points"].set_index(["method", "seed", "point"])
    assert set(found["points"]["point"]) == {"p0", "p60", "p100"}
    assert points.loc[("source", 0, "p100"), "flops"] == 0 and pd.isna(points.loc[("stack", 0, "p0"), "flops_total"])
    assert points.loc[("scratch", 0, "p0"), "flops_total"] == 0
    scores = found["scores"][found["scores"]["task"] == "paraphrase"]
    rows = sorted((row.method, row.point) for row in scores.itertuples())
    assert rows == sorted([("source", "p100"), *((name, point) for name, own in grown.items() for point in own)])
    savings = found["savings"].set_index("method")
    assert savings.loc["stack", "status_total"] == "source's cost unknown" and pd.isna(
        savings.loc["stack", "saving_total"]
    )
    assert savings.loc["stack", "status_target_only"] != "source's cost unknown"
    page = Path("results/taken/tables/savings.md").read_text()
    assert "| stack | source's cost unknown |" in page

    priced = {"source.path": checkpoint, "source.flops": "1e9", "source.cited": "a paper"}
    found = finished("[1.0]", {"stack": ["p100"], "stackbert": ["p100"], "scratch": ["p100"]}, **priced)
    savings = found["savings"].set_index("method")
    assert (
        savings.loc["stack", "source_flops"] == 1e9 and savings.loc["stack", "status_total"] != "source's cost unknown"
    )
