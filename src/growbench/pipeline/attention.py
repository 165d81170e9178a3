"""growbench attention: measure where the heads of one seed's finished models look, on validation text.

bert2BERT and StackBERT build on an observation: a small and a big model attend alike, and so do the layers of one model,
to the first token and to near ones. This works for every family that reads text, with the stock classes' plain ("eager")
attention.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from growbench import families
from growbench.pipeline.corpus import corpus
from growbench.pipeline.pretrain import identity as run_identity
from growbench.records import finished, identity, provenance, record
from growbench.runtime import launch, lock
from growbench.spec import SOURCE
from growbench.study.study import Study
from growbench.train import device
from growbench.train.data import PackedSequences

log = logging.getLogger(__name__)

POSITIONS, LAYERS, HEADS = 16, 4, 4  # the most that stored maps show: enough to see, little enough to commit
SEQUENCES, BATCH = 256, 16
BASE, LAST = "scratch", "p100"


def run(study: Study, seed: int) -> Path:
    """Measure the source's and every method's last finished point; return the record's path."""
    with lock.held(study.layout.lock("attention", f"s{seed}")):
        return _run(study, seed)


def _run(study: Study, seed: int) -> Path:
    torch.set_num_threads(launch.threads(1))
    layout = study.layout
    data = corpus.load(layout.corpus)
    windows = PackedSequences(data.valid, study.objective.length, int(data.manifest["special"]["cls"]), 0)
    count = min(SEQUENCES, windows.count)
    ids = windows.fetch(spread(windows.count, count))
    methods = [name for name in study.methods if study.ends(name)]
    grown = [name for name in methods if study.method(name).needs_source]
    folders = {name: _folder(study, name, seed) for name in ([SOURCE] if grown else []) + methods}
    source = measure(study, folders[SOURCE], ids) if grown else None
    shown, models = {SOURCE, BASE, *grown[:1]}, [] if source is None else [_row(SOURCE, source, source, True)]
    for name in methods:
        found = measure(study, folders[name], ids)
        models.append(_row(name, found, source, name in shown))
        log.info("attention of %s-s%d measured on %d sequences", name, seed, count)
    return record.write(
        study.layout.attention_record(seed), "attention", study=study.study, method="all", seed=seed,
        config_hash=record.config_hash(study.trained_part()), sequences=count, length=study.objective.length, models=models,
        made_from=identity.parts(
            models={name: finished.represented(folder)[0] for name, folder in folders.items()},
            corpus=data.digest,
            precision=device.resolve(study.train.device, study.train.precision).precision,
        ),
        provenance=provenance.of(torch.get_num_threads()),
    )  # fmt: skip


def _folder(study: Study, method: str, seed: int) -> Path:
    return finished.point(study.layout, run_identity.wanted(study, method, seed), method, seed, LAST)


@torch.no_grad()
def measure(study: Study, folder: Path, ids: Tensor) -> np.ndarray:
    """Return the attention [layers, heads, T, T] of the model in a folder, the mean over sequences ids [N, T]; rows sum to 1."""
    family = families.load(study.target.family)
    compute = device.resolve(study.train.device, study.train.precision)
    model = family.model_class().from_pretrained(folder, attn_implementation="eager")
    compute.place(model).eval()
    cache = {} if family.objective == "mlm" else {"use_cache": False}
    total: Any = 0.0
    for rows in ids.split(BATCH):
        with compute.cast():
            out = model.base_model(input_ids=rows.to(compute.device), output_attentions=True, **cache)
        total = total + torch.stack([layer.double().sum(0) for layer in out.attentions])
    return np.asarray((total / len(ids)).cpu())


def _row(method: str, maps: np.ndarray, source: np.ndarray | None, shown: bool) -> dict[str, Any]:
    return {
        "method": method,
        "layers": len(maps),
        "heads": maps.shape[1],
        "likeness": None if source is None else round(likeness(maps, source), 4),
        "profiles": [profile(layer.mean(0)) for layer in maps],
        "maps": examples(maps) if shown else [],
    }


def profile(mean: np.ndarray) -> dict[str, Any]:
    """Return how much a mean map [T, T] attends to the first token and to each relative distance (key minus query).

    The first token counts neither as a query nor at any distance. weights: the mean over the pairs at a distance; uniform
    attention has 1 / T at each. Distances that no query may attend to are left out.
    """
    length, inner = len(mean), mean[1:, 1:]
    weights = {d: float(np.diagonal(inner, d).mean()) for d in range(2 - length, length - 1)}
    return {"first": round(float(mean[1:, 0].mean()), 5), "weights": {d: round(w, 5) for d, w in weights.items() if w}}


def likeness(maps: np.ndarray, source: np.ndarray) -> float:
    """Return the correlation of each head of `maps` [layers, heads, T, T] with its most similar head of the source, on average.

    It is taken over the pairs that may attend to one another, among the first POSITIONS queries and keys.
    """
    own, other = (m[..., :POSITIONS, :POSITIONS].reshape(-1, min(m.shape[-1], POSITIONS) ** 2) for m in (maps, source))
    allowed = (own > 0).any(0) | (other > 0).any(0)
    unit = [_unit(m[:, allowed]) for m in (own, other)]
    return float((unit[0] @ unit[1].T).max(1).mean())


def _unit(rows: np.ndarray) -> np.ndarray:
    centered = rows - rows.mean(1, keepdims=True)
    return centered / np.maximum(np.linalg.norm(centered, axis=1, keepdims=True), 1e-12)


def examples(maps: np.ndarray) -> list[dict[str, Any]]:
    """Return the maps to store: evenly spaced layers, and in each, evenly spaced heads, sorted by how far they look."""
    length = maps.shape[-1]
    far = np.abs(np.subtract.outer(np.arange(length), np.arange(length)))
    rows = []
    for layer in spread(len(maps), LAYERS):
        order = np.argsort((maps[layer] * far).sum((1, 2)), kind="stable")
        for head in order[spread(len(order), HEADS)]:
            cut = maps[layer, head, :POSITIONS, :POSITIONS]
            rows.append({"layer": layer, "head": int(head), "weights": np.round(cut, 4).tolist()})
    return rows


def spread(count: int, most: int) -> list[int]:
    """Return at most `most` of the numbers 0 to count - 1, evenly spaced, with the first and the last."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(most, count))})
