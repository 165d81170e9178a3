"""One builder for the studies of tests: a study of a few steps, and a predictable text to train it on.

`study` writes nothing; `corpus` writes the text; `tiny` does both and is what most tests of training need.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from growbench import families, methods
from growbench.pipeline.corpus.corpus import VERSION
from growbench.records import manifest
from growbench.records.layout import Layout
from growbench.runtime import durable
from growbench.study import config, files
from growbench.study.study import Study

ROOT = Path(__file__).resolve().parents[2]
VOCAB, SEP = 64, 3
DOCUMENT = 25  # tokens of a document, its end included
HOUR, ALWAYS = 3600.0, 1e-3  # seconds between checkpoints
PLANNED = ("stackbert", "mslt", "bert2bert", "compoundgrow", "gradual", "g_stack", "staged", "ki", "msg")
OTHERS = {"of": "compoundgrow", "layers": "attention", "ffn": "factor", "length": "cut"}  # not the paper's choices
USED = ("scratch", "bert2bert_fpi", "bert2bert_aki", "scratch_iso", "source_longer", *PLANNED)
SMALL: dict[str, Any] = {  # what differs from the demo
    "study": "tiny",
    "seeds": [0],
    "corpus": {"vocab": VOCAB},
    "objective": {"length": 16},
    "source": {"layers": 2, "hidden": 16, "heads": 2, "ffn": 32, "steps": 20},
    "target": {"layers": 4, "hidden": 32, "heads": 4, "ffn": 64},
    "budget": {"steps": 40, "points": [0.6, 0.8, 1.0], "total": False},
    "optimizer": {"batch": 4, "warmup": {"share": 0.04}},
    "train": {"eval_sequences": 32, "eval_every": 0.1, "checkpoint_seconds": HOUR, "precision": "float32"},
    "finetune": {"max_length": 16, "most_cut": 1.0},
}


def study(**overrides: Any) -> Study:
    """Return a study of a few steps; nothing is written.

    overrides: sections, such as `train={"compile": True}`, or dotted keys, such as `**{"train.compile": True}`. They
    are merged into the tiny study, except `methods`, which replaces its methods. The objective follows the family.
    Raises GrowBenchError if the config is wrong.
    """
    changes: dict[str, Any] = {}
    for key, value in overrides.items():
        changes = files.merged(changes, _nested(key, value))
    family = changes.get("target", {}).get("family", "bert")
    values = files.merged(files.read(ROOT / "config/demo.yaml"), SMALL)
    values["objective"]["kind"] = families.load(family).objective
    own = changes.pop("methods", usual_methods(family))
    return config.load(files.merged(values, changes) | {"methods": own})


def usual_methods(family: str, **options: Any) -> dict[str, Any]:
    """Return the `methods` of a tiny study: those that it can train, and `options` of some of them or of variants."""
    left_out = [n for n in methods.names() if not methods.load(n).shrinks and n not in USED]
    made = families.load(family)
    pools = made.objective == "mlm" and not made.rotary
    cut = {} if pools else {"compoundgrow": {"length": "cut"}}
    return {"all": None, **dict.fromkeys(left_out, False), **cut, **options}


def tiny(folder: Path, family: str = "bert", steps: int = 40, seconds: float = HOUR, **options: Any) -> Study:
    """Write the corpus below `folder`, the working directory of the test, if it has none, and return the study.

    steps: of the target's budget; the source takes half as many. seconds: between checkpoints. options: by method.
    """
    made = study(
        target={"family": family},
        source={"steps": steps // 2},
        budget={"steps": steps},
        train={"checkpoint_seconds": seconds},
        methods=usual_methods(family, **options),
    )
    if not (folder / made.layout.corpus).exists():
        corpus(folder / made.layout.corpus)
    return made


def corpus(folder: Path, tokenizer: Any = None, seed: int = 0) -> None:
    """Write a corpus of two alternating ids in three places, which a model learns within a few steps, in short documents.

    tokenizer: a stock tokenizer to save with it; without one the corpus can be trained on only. seed: of the ids.
    """
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    splits = {}
    for split, size in (("train", 40_000), ("valid", 2_000)):
        ids = ((np.arange(size) % 3) * 2 + rng.integers(0, 2, size) + 5).astype(np.uint16)
        ids[DOCUMENT - 1 :: DOCUMENT] = SEP
        ids.tofile(folder / f"{split}.bin")
        digest = durable.digest(folder / f"{split}.bin")
        splits[split] = {"file": f"{split}.bin", "tokens": size, "documents": size // DOCUMENT, "sha256": digest}
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer/tokenizer.json").write_text("{}")
    if tokenizer is not None:
        tokenizer.save_pretrained(str(folder / "tokenizer"))
    sign(folder, **splits)


def sign(folder: Path, vocab: int = VOCAB, **splits: Any) -> None:
    """Write the manifest of a corpus whose tokenizer is there."""
    special = dict(zip(("pad", "unk", "cls", "sep", "mask"), range(5), strict=True))
    files = {path.name: durable.digest(path) for path in sorted((folder / "tokenizer").iterdir())}
    about = {"vocab": vocab, "dtype": "uint16", "special": special, "unigram_entropy": 4.0, "entropy_floor": None}
    tokenizer = {"folder": "tokenizer", "files": files}
    manifest.write(
        folder / "manifest.json", {"version": VERSION, "tokenizer": tokenizer, **splits, **about, "source": {}}
    )


def result(path: Path) -> dict[str, Any]:
    """Return a record."""
    return json.loads(path.read_text())


def weights(method: str, seed: int = 0) -> dict[str, bytes]:
    """Return the finished points of a method's run, byte for byte."""
    found = Layout("tiny").run(method, seed).path.glob("points/*/model.safetensors")
    return {path.parent.name: path.read_bytes() for path in found}


def _nested(key: str, value: Any) -> Mapping[str, Any]:
    """Return {"train": {"compile": value}} for "train.compile"."""
    for word in reversed(key.split(".")):
        value = {word: value}
    return value
