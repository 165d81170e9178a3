"""Studies, checkpoints and records for tests of fine-tuning: a random model where a run would have left it."""

import json
from pathlib import Path
from typing import Any

from support import signed, tiny
from transformers import PreTrainedTokenizerFast

from growbench import families
from growbench.pipeline.finetune import run as finetune
from growbench.records.layout import Layout
from growbench.spec import ModelSpec
from growbench.study.study import Study
from growbench.train import checkpoint

LAYOUT = Layout("tiny")
POINT = LAYOUT.run("scratch", 0).point("p100")
SETTINGS = {
    "points": [1.0], "seeds": [0], "source": False, "protocol": "single", "decay": "linear", "warmup": 0.1,
    "weight_decay": 0.01, "dropout": 0.0, "max_length": 16, "most_cut": 1.0, "max_train": None, "doc_stride": 4, "answer_length": 5,
    "epochs": 8, "lr": 3e-3, "batch": 32, "tasks": {}, "threads": 1,
}  # fmt: skip


def study(data: Path, *names: str, family: str = "bert", source: str = "local", **finetune: Any) -> Study:
    """Return a study of these tasks, whose files are below `data`. finetune: what differs from SETTINGS."""
    kind = "clm" if families.load(family).objective == "clm" else "mlm"
    return tiny.study(
        data={"dir": str(data)},
        tasks={"source": source, "names": list(names)},
        target={"family": family},
        objective={"kind": kind},
        finetune={**SETTINGS, **finetune},
        methods={"scratch": None},
    )


def save(tokenizer: PreTrainedTokenizerFast, name: str, layers: int = 1, **options: Any) -> None:
    """Save a tokenizer and a random model of a family as scratch's finished point, in the working directory."""
    tokenizer.save_pretrained(str(LAYOUT.tokenizer))
    valid = {"file": "valid.bin", "tokens": 2_000, "documents": 80, "sha256": ""}  # which fine-tuning does not read
    tiny.sign(LAYOUT.corpus, vocab=len(tokenizer), valid=valid)
    family = families.load(name)
    spec = ModelSpec(family=name, layers=layers, hidden=32, heads=2, ffn=64, vocab=len(tokenizer), max_length=16)
    checkpoint.save_model(POINT, family.build(family.config(spec, **family.dropout(0.0), **options)), {})


def run(made: Study) -> dict[str, Any]:
    """Fine-tune scratch's finished point and return the record."""
    signed.sign(made)
    return json.loads(finetune.run(made, "scratch", [0], ["p100"])[0].read_text())
