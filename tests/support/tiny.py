"""A real study of a few steps on a predictable text, in a folder of its own, for any family that reads text."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from growbench import families, methods
from growbench.records import record
from growbench.runtime import durable
from growbench.study import config

ROOT = Path(__file__).resolve().parents[2]
VOCAB = 64
HOUR, ALWAYS = 3600.0, 1e-3  # seconds between checkpoints
PLANNED = ("stackbert", "mslt", "bert2bert", "compoundgrow", "gradual", "g_stack", "staged", "ki", "msg")
OTHERS = {"of": "compoundgrow", "layers": "attention", "ffn": "factor", "length": "cut"}  # than the paper's choice
USED = ("scratch", "bert2bert_fpi", "bert2bert_aki", "scratch_iso", "source_longer", *PLANNED)


def tiny(folder: Path, family: str = "bert", steps: int = 40, seconds: float = HOUR, **options: Any) -> Any:
    """Write the corpus below `folder`, the working directory of the test, and return the study. seconds: between checkpoints.
    options: by method.
    """
    values = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    values.update(study="tiny", seeds=[0])
    values["objective"]["length"] = values["finetune"]["max_length"] = 16
    values["objective"]["kind"] = families.load(family).objective
    values["corpus"]["vocab"] = VOCAB
    values["source"].update(layers=2, hidden=16, heads=2, ffn=32, steps=steps // 2)
    values["target"].update(family=family, layers=4, hidden=32, heads=4, ffn=64)
    values["budget"].update(steps=steps, points=[0.6, 0.8, 1.0])
    values["optimizer"].update(batch=4)
    values["train"].update(eval_sequences=32, eval_every=0.1, checkpoint_seconds=seconds)
    if not (folder / "results").exists():
        _corpus(folder / "results/tiny/corpus")
    left_out = [n for n in methods.names() if not methods.load(n).shrinks and n not in USED]
    causal = {} if values["objective"]["kind"] == "mlm" else {"compoundgrow": {"length": "cut"}}
    values["methods"] = {"all": None, **dict.fromkeys(left_out, False), **causal, **options}
    return config.load(values)


def _corpus(folder: Path) -> None:
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    parts = {}
    for part, size in (("train", 40_000), ("valid", 2_000)):
        ids = ((np.arange(size) % 3) * 2 + rng.integers(0, 2, size) + 5).astype(np.uint16)
        ids.tofile(folder / f"{part}.bin")
        digest = durable.digest(folder / f"{part}.bin")
        parts[part] = {"file": f"{part}.bin", "tokens": size, "documents": 1, "sha256": digest}
    special = dict(zip(("pad", "unk", "cls", "sep", "mask"), range(5), strict=True))
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer/tokenizer.json").write_text("{}")
    manifest = {"version": 1, "tokenizer": "tokenizer", "vocab": VOCAB, "dtype": "uint16", "special": special, **parts}
    record.write(
        folder / "manifest.json",
        {**manifest, "unigram_entropy": 4.0, "entropy_floor": None, "source": {}, "seconds": 0},
    )


def result(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def weights(method: str, seed: int = 0) -> dict[str, bytes]:
    """The finished points of a method's run, byte for byte."""
    found = Path("results/tiny/runs").glob(f"{method}-s{seed}/points/*/model.safetensors")
    return {path.parent.name: path.read_bytes() for path in found}
