"""A study of seconds on generated text, as a config file, for commands in forked processes."""

import json
from pathlib import Path
from typing import Any

from support.tiny import ROOT

from growbench.study import files

CHANGES: dict[str, Any] = {
    "study": "small",
    "seeds": [0],
    "attention": False,
    "corpus": {"max_tokens": 30_000, "valid_fraction": 0.2},
    "source": {"layers": 2, "hidden": 16, "heads": 2, "ffn": 32, "steps": 20},
    "target": {"layers": 2, "hidden": 32, "heads": 4, "ffn": 64},
    "budget": {"steps": 30, "points": [0.6, 1.0], "total": False},
    "optimizer": {"batch": 8, "warmup": 1},
    "train": {"eval_sequences": 32, "checkpoint_seconds": 3600.0, "threads": 1},
    "tasks": {"names": ["topic"]},
    "finetune": {"max_train": 64},
}
VARIANTS: tuple[dict[str, Any], ...] = (  # studies of other kinds, so that their keys are changed too
    {},
    {
        "budget": {"steps": None, "points": None, "tokens_per_parameter": [0.1, 0.2, 0.4]},
        "finetune": {"points": [1.0]},
    },
    {"budget": {"total": False}, "methods": {"scratch": None, "zero_pad": None, "placebo": None}},
    {"budget": {"per_point": True}, "methods": {"scratch": None, "mslt": None}},
    {"search": {"lrs": [1e-3, 2e-3], "warmups": [3, 6], "seed": 7, "most": 12}},
    {"budget": {"protocol": "paper"}, "optimizer": {"warmup": {"share": 0.05}}},
    {"finetune": {"protocol": "probe"}, "zeroshot": {"names": ["pairs"], "pairs": 100, "points": [1.0]}},
)
METHODS: dict[str, Any] = {"scratch": None, "zero_pad": None, "stackbert": None}
FILE = "study.json"


def values(**changes: Any) -> dict[str, Any]:
    """Return the study's mapping; sections of `changes` are merged in, `methods` replaces its methods."""
    methods = changes.pop("methods", METHODS)
    merged = files.merged(files.merged(files.read(ROOT / "config/demo.yaml"), CHANGES), changes)
    return merged | {"methods": methods}


def write(folder: Path, **changes: Any) -> list[str]:
    """Write the config file (JSON is YAML) into a folder and return the words that name it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(json.dumps(values(**changes), indent=1), encoding="utf-8")
    return ["--config", FILE]
