"""Constructed records with a known answer: loss = A - B log(FLOPs), a method needing `cost` times scratch's FLOPs."""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import chdir
from dataclasses import asdict
from pathlib import Path
from typing import Any

from support import tiny

from growbench import families
from growbench.pipeline.pretrain import identity as of_run
from growbench.plan.plan import Stage
from growbench.records import identity, outcomes, record
from growbench.records.curve import COLUMNS
from growbench.runtime import durable
from growbench.spec import SOURCE, ModelSpec
from growbench.study.study import Study

A, B, F = 10.0, 0.25, 1e14
FRACTIONS = (0.25, 0.5, 1.0)
SOURCE_FLOPS = 1e13
LR = 5e-4
ENDED = 2.0  # loss over all of the validation text at the end of a cool-down; points have that of their documents
TASKS = ("acceptability", "topic", "similarity")
SHAPES: dict[str, Any] = {
    "corpus": {"vocab": 512},
    "objective": {"length": 64},
    "source": {"layers": 2, "hidden": 64, "heads": 2, "ffn": 256},
    "target": {"layers": 4, "hidden": 128, "heads": 4, "ffn": 512},
    "optimizer": {"warmup": {"share": 0.001}},
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
    return {
        "commit": "abc123def456", "dirty": False, "versions": {"torch": "2"}, "hardware": "CPU, 2 cores", "threads": 1,
        "processes": 1, "date": "2026-01-01",
    }  # fmt: skip


def sha256(*words: Any) -> str:
    """Return a digest that only these words have."""
    return identity.digest(list(map(str, words)))


def pretrain(made: Study, method: str, seed: int, cost: float, noise: float = 0.0) -> dict[str, Any]:
    """Return a pre-training record; a method that grows the source is charged SOURCE_FLOPS in its total.

    The source's record must be in the working directory.
    """
    vocab = made.corpus.vocab
    family = families.load(made.target.family)
    run, grown = of_run.timeline_of(made, method, seed, vocab), of_run.needs_source(made, method)
    plan = run.plan.to_list()
    made_from = of_run.wanted(made, method, seed) | {
        "plan": identity.digest(plan), "corpus": sha256("corpus"), "precision": "float32"
    }  # fmt: skip
    options = dict(run.options) | ({"lr": made_from["lr"]} if made.searched(method) else {})
    free = SOURCE_FLOPS if grown else 0.0
    ledger = [{"phase": "trunk", "stage": 0, "flops": F, "flops_electra": F * 2 / 3, "tokens": 10, "wall_seconds": 1.0,
               "cpu_seconds": 1.0, "peak_memory_mb": 50.0, "steps": 1000}]  # fmt: skip
    if grown:
        ledger.append({**ledger[0], "phase": "source", "flops": SOURCE_FLOPS, "flops_electra": SOURCE_FLOPS * 2 / 3})
    return {
        "kind": "pretrain", "version": 2, "study": made.study, "method": method, "seed": seed,
        "config_hash": record.config_hash(made.trained_part()), "identity": made_from, "spec": plan[-1]["spec"],
        "source_spec": asdict(made.source_spec(vocab)) if grown else None, "options": options, "plan": plan,
        "parameters": family.parameters(run.plan.stages[-1].spec, made.pixels),
        "curve_of": None if method == SOURCE else made.curve_of(method),
        "initial_loss": 5.0, "points": points(run.points, cost, noise, free, (method, seed)), "ledger": ledger,
        "unigram_entropy": 5.2, "entropy_floor": 1.3, "provenance": provenance(),
    }  # fmt: skip


def search(
    method: str, trials: Sequence[tuple[float, float | None]], lr: float, made: Study | None = None
) -> dict[str, Any]:
    """Return the record of a search. trials: LR and loss of each; lr: the one that was chosen."""
    made = made or study({"scratch": None}, **{"search.lrs": [tried for tried, _ in trials], "search.seed": 0})
    wanted = of_run.wanted(made, method, 0, made.search.share)
    made_from = {key: value for key, value in wanted.items() if key not in ("lr", "warmup")}
    made_from |= {"plan": sha256("plan"), "corpus": sha256("corpus"), "precision": "float32"}
    return {
        "kind": "search", "version": 2, "study": made.study, "method": method, "seed": 0,
        "config_hash": record.config_hash(made.trained_part(made.search.share)), "identity": made_from, "share": made.search.share, "lr": lr,
        "trials": [{"lr": tried, "loss": loss, "flops": loss and 1e9} for tried, loss in trials],
        "provenance": provenance(),
    }  # fmt: skip


def points(
    fractions: Sequence[float], cost: float, noise: float, free: float, run: tuple[str, int]
) -> list[dict[str, Any]]:
    """Return the finished points of a run. noise: added to the loss; free: FLOPs of its source; run: its method and seed."""
    return [
        {
            "point": f"p{round(100 * f)}", "fraction": f, "budget_flops": f * F, "loss": loss_at(f * F, cost) + noise,
            "flops": f * F, "flops_total": f * F + free, "flops_electra": f * F * 2 / 3,
            "flops_total_electra": (f * F + free) * 2 / 3, "steps": int(1000 * f), "tokens": int(1e6 * f),
            "wall_seconds": 100 * f, "tail_energy": None, "model": sha256(*run, f"p{round(100 * f)}"),
        }
        for f in fractions
    ]  # fmt: skip


def stage(spec: dict[str, Any], enter: str, until: float = 1.0, **changes: Any) -> dict[str, Any]:
    """Return a stage as a record holds it."""
    return asdict(Stage(spec=ModelSpec.from_dict(spec), until=until, enter=enter, **changes))


def curve(method_record: dict[str, Any], cost: float) -> str:
    """Return the run's curve file: the start of each stage, 20 trunk rows on the law (0.05 nats above it), one cool-down row."""
    last, ends = method_record["points"][-1], [stage["until"] for stage in method_record["plan"]]
    free = last["flops_total"] - last["flops"]

    def row(share: float, stage: int, lr: float, loss: float) -> str:
        spent = F * share
        return f"{round(1000 * share)},trunk,{stage},,{spent!r},{spent + free!r},{int(20 * share)},{lr},,{loss!r},{100 * share}"

    rows = [(i / 20, next(k for k, end in enumerate(ends) if i / 20 <= end), 0.001) for i in range(1, 21)]
    starts = [(share, stage, 0.0) for stage, share in enumerate([0.0, *ends[:-1]])]
    lines = [
        row(share, stage, lr, loss_at(F * share, cost) + 0.05 if lr else method_record["initial_loss"])
        for share, stage, lr in sorted([*rows, *starts], key=lambda of: (of[1], of[0]))
    ]
    end = f"1000,cooldown,{len(ends) - 1},p100,{F!r},{F + free!r},20,0,2.0,{ENDED},100"
    return "\n".join([",".join(COLUMNS), *lines, end]) + "\n"


def finetune(made: Study, method: str, seed: int, point: str, score: float, failed: bool = False) -> dict[str, Any]:
    """Return a fine-tuning record: every task, two seeds, the second 0.02 better; `failed` marks the last run."""
    runs = [
        {
            "task": task, "seed": s, "n_train": 400, "n_dev": 100, "subset": task == "topic",
            "metrics": {"accuracy": score + 0.02 * s}, "main_metric": "accuracy", "score": score + 0.02 * s,
            "n_cut_train": 80, "n_cut_dev": 20, "n_unreached": 10 if task == "topic" else 0,
            "majority": 0.5, "failed": False, "epochs": 3, "lr": LR, "batch": 32, "seconds": 1.0,
        }
        for task in made.tasks.names for s in (0, 1)
    ]  # fmt: skip
    if failed:
        runs[-1] |= {"failed": True, "score": 0.5, "metrics": {"accuracy": 0.5}}
    return {
        "kind": "finetune", "version": 2, "study": made.study, "method": method, "seed": seed, "point": point,
        "config_hash": record.config_hash(made.finetuned_part()),
        "made_from": evaluated(made.finetuned_part(), made.tasks.names, method, seed, point),
        "suite": "toyglue", "protocol": made.finetune.protocol, "runs": runs, "provenance": provenance(),
    }  # fmt: skip


def evaluated(part: Any, tasks: Sequence[str], method: str, seed: int, point: str) -> dict[str, Any]:
    """Return what an evaluation was made from. part: of the config."""
    return {
        "config": record.config_hash(part), "model": sha256(method, seed, point), "corpus": sha256("corpus"),
        "tasks": {task: {"dev.tsv": sha256(task)} for task in tasks}, "precision": "float32",
    }  # fmt: skip


def zeroshot(made: Study, method: str, seed: int, nats: float, point: str = "p100") -> dict[str, Any]:
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
        "kind": "zeroshot", "version": 2, "study": made.study, "method": method, "seed": seed, "point": point,
        "config_hash": record.config_hash(made.zeroshot_part()),
        "made_from": evaluated(made.zeroshot_part(), made.zeroshot.names, method, seed, point), "window": {"length": 64, "stride": 32, "context": 32},
        "tokenisation": {"kind": "bpe", "vocab": 512, "letter_case": False, "line_ends": True, "unknown_word": ["<", "unk", ">"]},
        "runs": [text, last], "provenance": provenance(),
    }  # fmt: skip


def pairs(score: float) -> dict[str, Any]:
    """Return the score on eight minimal pairs of two kinds, of which two more were left out."""
    metrics = {"accuracy": score, "shuffled": score - 0.1, "swapped": score + 0.1}
    return {
        "task": "pairs", "n_tokens": 60, "n_words": 40, "n_lines": 16, "n_unknown": 0, "n_cut": 2, "n_pairs": 8, "n_bytes": 0,
        "nats": 99.0, "subset": False, "failed": False, "seconds": 1.0, "metrics": metrics, "main_metric": "accuracy",
        "score": score, "error": 0.05, "outcomes": dict.fromkeys(("shuffled", "swapped"), outcomes.packed([True] * 4)),
    }  # fmt: skip


def bits(score: float) -> dict[str, Any]:
    """Return the bits per byte of four texts of one hundred bytes in all."""
    return {
        "task": "bytes/SST-2", "n_tokens": 50, "n_words": 20, "n_lines": 4, "n_unknown": 0, "n_cut": 0, "n_pairs": 0,
        "n_bytes": 100, "nats": 99.0, "subset": False, "failed": False, "seconds": 1.0, "metrics": {"bits_per_byte": score},
        "main_metric": "bits_per_byte", "score": score, "error": None, "outcomes": {},
    }  # fmt: skip


def attention(made: Study, seed: int) -> dict[str, Any]:
    """Return an attention record: a source whose one head looks left, targets that do so half; profiles with their mass at -1."""
    left = [[float(k == max(q - 1, 0)) for k in range(4)] for q in range(4)]
    grown = [name for name in made.methods if made.method(name).needs_source]
    names = [*([SOURCE] if grown else []), *made.methods]
    models = [
        {
            "method": name, "layers": layers, "heads": 1, "likeness": 1.0 if name == SOURCE else 0.5,
            "profiles": [{"first": 0.1 * (layer + 1), "weights": {-1: 0.7, 0: 0.1, 1: 0.1}} for layer in range(layers)],
            "maps": [
                {"layer": i, "head": 0, "weights": left} for i in range(layers)
            ] if name in (SOURCE, "scratch", *grown[:1]) else [],
        }
        for name in names for layers in [made.source.layers if name == SOURCE else made.target.layers]
    ]  # fmt: skip
    return {
        "kind": "attention", "version": 2, "study": made.study, "method": "all", "seed": seed,
        "config_hash": record.config_hash(made.trained_part()),
        "made_from": {
            "models": {name: sha256(name, seed, "p100") for name in names}, "corpus": sha256("corpus"),
            "precision": "float32",
        },
        "sequences": 32, "length": 4, "models": models, "provenance": provenance(),
    }  # fmt: skip


def write(folder: Path, made: Study, costs: Mapping[str, float], noise: Mapping[int, float] | None = None) -> Path:
    """Write all records of a study below `folder` and return their folder.

    costs: by method, 1 without an entry. noise: by seed, added to scratch's loss, and minus half of it to the others'.
    """
    with chdir(folder):
        for seed in made.seeds:
            for method in sorted(made.trained(), key=lambda name: name != SOURCE):
                shift = (noise or {}).get(seed, 0.0) * (1 if method == "scratch" else -0.5)
                _write_run(made, method, seed, costs.get(method, 1.0), shift)
    return (folder / made.layout.run_record("scratch", 0)).parents[1]


def _write_run(made: Study, method: str, seed: int, cost: float, shift: float) -> None:
    values = pretrain(made, method, seed, cost, shift)
    dump(made.layout.run_record(method, seed), values, curve(values, cost))
    for point in made.finetuned_points(method):
        score = 0.7 + 0.1 * int(point[1:]) / 100 + 0.05 * (1 - cost) + 0.3 * shift
        dump(made.layout.finetune_record(method, seed, point), finetune(made, method, seed, point, score))


def dump(path: Path, values: dict[str, Any], rows: str | None = None) -> None:
    """Write a record, its folder if it is missing, and its curve if it is given; the digests are those of what is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if rows is not None:
        path.with_suffix(".csv").write_text(rows)
        values = {**values, "curve": durable.digest(path.with_suffix(".csv"))}
    written = identity.parts(**{key: value for key, value in values.items() if key != "digest"})
    path.write_text(json.dumps({**written, "digest": identity.digest(written)}))
