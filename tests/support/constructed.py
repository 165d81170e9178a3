"""Constructed records with a known answer: loss = A - B log(FLOPs), a method needing `cost` times scratch's FLOPs."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from support import tiny

from growbench.plan.plan import Stage
from growbench.records import record
from growbench.spec import SOURCE, ModelSpec
from growbench.study.study import Study

A, B, F = 10.0, 0.25, 1e14
FRACTIONS = (0.25, 0.5, 1.0)
SOURCE_FLOPS = 1e13
LR = 5e-4
TASKS = ("acceptability", "topic", "similarity")
SHAPES: dict[str, Any] = {
    "corpus": {"vocab": 512},
    "objective": {"length": 64},
    "source": {"layers": 2, "hidden": 64, "heads": 2, "ffn": 256},
    "target": {"layers": 4, "hidden": 128, "heads": 4, "ffn": 512},
    "optimizer": {"warmup": 0.001},
}


def loss_at(flops: float, cost: float = 1.0) -> float:
    """Return the loss of a run that needs `cost` times scratch's FLOPs for the same loss."""
    return A - B * math.log(flops / cost)


def study(methods: Mapping[str, Any], **overrides: Any) -> Study:
    """Return a study of three seeds that fine-tunes its last point with two seeds. overrides: as tiny.study takes them."""
    values = {
        "study": "made",
        "seeds": [0, 1, 2],
        "attention": False,
        **SHAPES,
        "budget": {"steps": 1000, "points": list(FRACTIONS)},
        "tasks.names": list(TASKS),
        "finetune": {"points": [1.0], "seeds": [0, 1], "lr": LR, "source": False, "max_length": 64, "doc_stride": 16},
        "methods": dict(methods),
    }
    plain = {key: value for key, value in overrides.items() if "." not in key}
    return tiny.study(**{**values, **plain}, **{key: value for key, value in overrides.items() if "." in key})


def provenance() -> dict[str, Any]:
    """Return the provenance of every constructed record."""
    return {"commit": "abc123def456", "dirty": False, "versions": {"torch": "2"}, "hardware": "CPU, 2 cores"}


def pretrain(
    made: Study, method: str, seed: int, cost: float, noise: float = 0.0, options: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return a pre-training record; a method that grows the source is charged SOURCE_FLOPS in its total."""
    vocab = made.corpus.vocab
    target, small = asdict(made.target_spec(vocab)), asdict(made.source_spec(vocab))
    spec, grown = (small, False) if method == SOURCE else (target, made.method(method).needs_source)
    free = SOURCE_FLOPS if grown else 0.0
    ledger = [{"phase": "trunk", "stage": 0, "flops": F, "flops_electra": F * 2 / 3, "tokens": 10, "wall_seconds": 1.0,
               "cpu_seconds": 1.0, "peak_memory_mb": 50.0, "steps": 1000}]  # fmt: skip
    if grown:
        ledger.append({**ledger[0], "phase": "source", "flops": SOURCE_FLOPS, "flops_electra": SOURCE_FLOPS * 2 / 3})
    return {
        "kind": "pretrain", "version": 1, "study": "made", "method": method, "seed": seed,
        "config_hash": record.digest(made.trained_part()), "method_hash": method, "spec": spec,
        "source_spec": small if grown else None, "options": options or {},
        "plan": [stage(spec, "source" if grown else "init")], "initial_loss": 5.0, "points": points(cost, noise, free),
        "ledger": ledger, "unigram_entropy": 5.2, "entropy_floor": 1.3, "provenance": provenance(),
    }  # fmt: skip


def points(cost: float, noise: float, free: float) -> list[dict[str, Any]]:
    """Return the finished points of a run. noise: added to the loss; free: FLOPs of its source."""
    return [
        {
            "point": f"p{round(100 * f)}", "fraction": f, "budget_flops": f * F, "loss": loss_at(f * F, cost) + noise,
            "flops": f * F, "flops_total": f * F + free, "flops_electra": f * F * 2 / 3,
            "flops_total_electra": (f * F + free) * 2 / 3, "steps": int(1000 * f), "tokens": int(1e6 * f),
            "wall_seconds": 100 * f,
        }
        for f in FRACTIONS
    ]  # fmt: skip


def stage(spec: dict[str, Any], enter: str, until: float = 1.0, **changes: Any) -> dict[str, Any]:
    """Return a stage as a record holds it."""
    return asdict(Stage(spec=ModelSpec.from_dict(spec), until=until, enter=enter, **changes))


def curve(method_record: dict[str, Any], cost: float) -> str:
    """Return the run's curve file: its start, 20 trunk rows on the law (0.05 nats above it) and one cool-down row."""
    head = "step,phase,stage,point,flops,flops_total,tokens,lr,train_loss,valid_loss,wall_seconds"
    last = method_record["points"][-1]
    free = last["flops_total"] - last["flops"]
    rows = [
        f"{50 * i},trunk,0,,{F * i / 20!r},{F * i / 20 + free!r},{i},0.001,,{loss_at(F * i / 20, cost) + 0.05!r},{5 * i}"
        for i in range(1, 21)
    ]
    start = f"0,trunk,0,,0.0,{free!r},0,0.0,,{method_record['initial_loss']!r},0.0"
    return "\n".join([head, start, *rows, f"1000,cooldown,0,p100,{F!r},{F + free!r},20,0,2.0,2.0,100"]) + "\n"


def finetune(made: Study, method: str, seed: int, point: str, score: float, failed: bool = False) -> dict[str, Any]:
    """Return a fine-tuning record: every task, two seeds, the second 0.02 better; `failed` marks the last run."""
    runs = [
        {
            "task": task, "seed": s, "n_train": 400, "n_dev": 100, "subset": task == "topic",
            "metrics": {"accuracy": score + 0.02 * s}, "main_metric": "accuracy", "score": score + 0.02 * s,
            "majority": 0.5, "failed": False, "epochs": 3, "lr": LR, "seconds": 1.0,
        }
        for task in made.tasks.names for s in (0, 1)
    ]  # fmt: skip
    if failed:
        runs[-1] |= {"failed": True, "score": 0.5, "metrics": {"accuracy": 0.5}}
    return {
        "kind": "finetune", "version": 1, "study": "made", "method": method, "seed": seed, "point": point,
        "config_hash": record.digest(made.finetuned_part()), "suite": "toyglue", "runs": runs, "provenance": provenance(),
    }  # fmt: skip


def zeroshot(made: Study, method: str, seed: int, nats: float) -> dict[str, Any]:
    """Return a zero-shot record. nats: per word, on ten words of two tokens each; half of eight passages are right."""
    counts = {"subset": True, "n_unknown": 0, "n_cut": 0, "failed": False, "seconds": 1.0}
    text = {
        "task": "WikiText-2", "n_tokens": 20, "n_words": 10, "n_lines": 2, "nats": 10 * nats, **counts,
        "metrics": {"perplexity": math.exp(nats / 2), "word_perplexity": math.exp(nats)},
        "main_metric": "word_perplexity", "score": math.exp(nats),
    }  # fmt: skip
    last = {
        "task": "LAMBADA", "n_tokens": 8, "n_words": 8, "n_lines": 8, "nats": 8 * nats, **counts,
        "metrics": {"perplexity": math.exp(nats), "word_perplexity": math.exp(nats), "accuracy": 0.5},
        "main_metric": "accuracy", "score": 0.5,
    }  # fmt: skip
    return {
        "kind": "zeroshot", "version": 1, "study": "made", "method": method, "seed": seed, "point": "p100",
        "config_hash": record.digest(made.zeroshot_part()), "window": {"length": 64, "stride": 32, "context": 33},
        "tokenisation": {"kind": "bpe", "vocab": 512, "letter_case": False, "line_ends": True, "unknown_word": ["<", "unk", ">"]},
        "runs": [text, last], "provenance": provenance(),
    }  # fmt: skip


def write(folder: Path, made: Study, costs: Mapping[str, float], noise: Mapping[int, float] | None = None) -> Path:
    """Write all records of a study below `folder` and return their folder.

    costs: by method, 1 without an entry. noise: by seed, added to scratch's loss, and minus half of it to the others'.
    """
    for seed in made.seeds:
        for method in [*made.methods, SOURCE]:
            shift = (noise or {}).get(seed, 0.0) * (1 if method == "scratch" else -0.5)
            _write_run(folder, made, method, seed, costs.get(method, 1.0), shift)
    return (folder / made.layout.run_record("scratch", 0)).parents[1]


def _write_run(folder: Path, made: Study, method: str, seed: int, cost: float, shift: float) -> None:
    options = None if method == SOURCE else made.options(method)
    values = pretrain(made, method, seed, cost, shift, options)
    dump(folder / made.layout.run_record(method, seed), values)
    (folder / made.layout.curve(method, seed)).write_text(curve(values, cost))
    for point in made.finetuned_points(method):
        score = 0.7 + 0.1 * int(point[1:]) / 100 + 0.05 * (1 - cost) + 0.3 * shift
        dump(folder / made.layout.finetune_record(method, seed, point), finetune(made, method, seed, point, score))


def dump(path: Path, values: dict[str, Any]) -> None:
    """Write a record, and its folder if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))
