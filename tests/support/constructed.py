"""Constructed records with a known answer: loss = A - B log(FLOPs), a method needing `cost` times scratch's FLOPs."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from growbench import methods as method_files
from growbench.plan.plan import Stage
from growbench.records import record
from growbench.records.layout import Layout
from growbench.spec import ModelSpec
from growbench.study.sections import FinetuneConfig
from growbench.study.study import Study

HASH = record.digest({})
A, B, F = 10.0, 0.25, 1e14
FRACTIONS = (0.25, 0.5, 1.0)
SOURCE = 1e13
LR = 5e-4
TASKS = ("acceptability", "topic", "similarity")


def loss_at(flops: float, cost: float = 1.0) -> float:
    """Return the loss of a run that needs `cost` times scratch's FLOPs for the same loss."""
    return A - B * math.log(flops / cost)


def _method(name: str) -> Any:
    """The method of this name; one that has no file yet is like any that starts from the source."""
    if name in method_files.names():
        return method_files.load(name)
    return type(name, (type(method_files.load("direct_copy")),), {"name": name})()


def study(methods: Mapping[str, Any], seeds: tuple[int, ...] = (0, 1, 2), **changes: Any) -> Any:
    """Return what aggregate.run needs of a Study; fine-tuning points and protocol may be changed."""
    tuned = finetuning(tuple(changes.get("points", [1.0])), changes.get("lr", LR), changes.get("source", False))
    names = tuple(f"p{round(100 * fraction)}" for fraction in tuned.points)
    made = SimpleNamespace(
        study="made",
        layout=Layout("made"),
        seeds=seeds,
        attention=changes.get("attention", False),
        methods=dict(methods),
        method=lambda name: _method((methods.get(name) or {}).get("of") or name),
        budget=SimpleNamespace(protocol=changes.get("protocol", "trunk")),
        tasks=SimpleNamespace(source="toyglue", names=list(TASKS)),
        finetune=tuned,
        searched=lambda name: name in changes.get("searched", ()),
        finetuned_points=lambda name: names if name != "source" else ("p100",) if tuned.source else (),
        zeroshot=SimpleNamespace(names=changes.get("zeroshot", [])),
        zeroshot_points=lambda: ("p100",),
        **dict.fromkeys(("trained_part", "finetuned_part", "zeroshot_part"), dict),
    )
    made.trained = lambda: Study.trained(made)
    return made


def finetuning(points: tuple[float, ...], lr: float | tuple[float, ...], source: bool) -> FinetuneConfig:
    """Return settings of two seeds; several LRs are a grid."""
    protocol = "single" if isinstance(lr, float) else "grid"
    return FinetuneConfig(
        points=points, seeds=(0, 1), source=source, protocol=protocol, epochs=3, lr=lr, decay="linear", batch=32, warmup=0.1, weight_decay=0.01,
        dropout=0.1, max_length=64, max_train=None, doc_stride=128, answer_length=30, tasks={}, threads=1,
    )  # fmt: skip


def provenance() -> dict[str, Any]:
    return {"commit": "abc123def456", "dirty": False, "versions": {"torch": "2"}, "hardware": "CPU, 2 cores"}


def pretrain(
    method: str, seed: int, cost: float, *, grown: bool = False, noise: float = 0.0, options: Any = None
) -> dict[str, Any]:
    """Return a pre-training record; a grown one is charged SOURCE in its total."""
    target = {"family": "bert", "layers": 4, "hidden": 128, "heads": 4, "ffn": 512, "vocab": 512, "max_length": 64}
    small = {**target, "layers": 2, "hidden": 64, "heads": 2, "ffn": 256}
    free = SOURCE if grown else 0.0
    points = [
        {
            "point": f"p{round(100 * f)}", "fraction": f, "budget_flops": f * F, "loss": loss_at(f * F, cost) + noise,
            "flops": f * F, "flops_total": f * F + free, "flops_electra": f * F * 2 / 3,
            "flops_total_electra": (f * F + free) * 2 / 3, "steps": int(1000 * f), "tokens": int(1e6 * f),
            "wall_seconds": 100 * f,
        }
        for f in FRACTIONS
    ]  # fmt: skip
    ledger = [{"phase": "trunk", "stage": 0, "flops": F, "flops_electra": F * 2 / 3, "tokens": 10, "wall_seconds": 1.0,
               "cpu_seconds": 1.0, "peak_memory_mb": 50.0, "steps": 1000}]  # fmt: skip
    if grown:
        ledger.append({**ledger[0], "phase": "source", "flops": SOURCE, "flops_electra": SOURCE * 2 / 3})
    return {
        "kind": "pretrain", "version": 1, "study": "made", "method": method, "seed": seed, "config_hash": HASH,
        "method_hash": method, "spec": small if method == "source" else target,
        "source_spec": small if grown else None, "options": options or {},
        "plan": [stage(target, "source" if grown else "init")], "initial_loss": 5.0, "points": points,
        "ledger": ledger, "unigram_entropy": 5.2, "entropy_floor": 1.3, "provenance": provenance(),
    }  # fmt: skip


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


def finetune(method: str, seed: int, point: str, score: float, failed: bool = False) -> dict[str, Any]:
    """Return a fine-tuning record: every task, two seeds (second 0.02 better); `failed` marks the last run."""
    runs = [
        {
            "task": task, "seed": s, "n_train": 400, "n_dev": 100, "subset": task == "topic",
            "metrics": {"accuracy": score + 0.02 * s}, "main_metric": "accuracy", "score": score + 0.02 * s,
            "majority": 0.5, "failed": False, "epochs": 3, "lr": LR, "seconds": 1.0,
        }
        for task in TASKS for s in (0, 1)
    ]  # fmt: skip
    if failed:
        runs[-1] |= {"failed": True, "score": 0.5, "metrics": {"accuracy": 0.5}}
    return {
        "kind": "finetune", "version": 1, "study": "made", "method": method, "seed": seed, "point": point,
        "config_hash": HASH, "suite": "toyglue", "runs": runs, "provenance": provenance(),
    }  # fmt: skip


def zeroshot(method: str, seed: int, nats: float) -> dict[str, Any]:
    """Return a zero-shot record: so many nats a word on ten words of two tokens each, and half of eight passages right."""
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
        "config_hash": HASH, "window": {"length": 64, "stride": 32, "context": 33},
        "tokenisation": {"kind": "bpe", "vocab": 512, "letter_case": False, "line_ends": True, "unknown_word": ["<", "unk", ">"]},
        "runs": [text, last], "provenance": provenance(),
    }  # fmt: skip


def write(folder: Path, made: Any, costs: Mapping[str, float], noise: Mapping[int, float] | None = None) -> Path:
    """Write a whole study's records below folder/results/made; a method that needs a source is charged it."""
    records = folder / "results" / "made" / "records"
    for kind in ("pretrain", "finetune"):
        (records / kind).mkdir(parents=True, exist_ok=True)
    for seed in made.seeds:
        for method in [*made.methods, "source"]:
            cost = costs.get(method, 1.0)
            shift = (noise or {}).get(seed, 0.0) * (1 if method == "scratch" else -0.5)
            options = None if method == "source" else made.method(method).check_options(made.methods[method], method)
            grown = method != "source" and made.method(method).needs_source
            values = pretrain(method, seed, cost, grown=grown, noise=shift, options=options)
            dump(records / "pretrain" / f"{method}-s{seed}.json", values)
            (records / "pretrain" / f"{method}-s{seed}.csv").write_text(curve(values, cost))
            for point in made.finetuned_points(method):
                fraction = int(point[1:]) / 100
                score = 0.7 + 0.1 * fraction + 0.05 * (1 - cost) + 0.3 * shift
                dump(records / "finetune" / f"{method}-s{seed}-{point}.json", finetune(method, seed, point, score))
    return records


def dump(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values))
