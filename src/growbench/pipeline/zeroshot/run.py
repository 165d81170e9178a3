"""growbench zeroshot: score finished points of a causal family on text that they were not trained for.

Each test set is tokenized once for all runs of a method. A model reads at most as many tokens as it was trained on
(objective.length). There is one record per run and finished point.
"""

import logging
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from growbench import families
from growbench.pipeline import evaluation
from growbench.pipeline.corpus import plain
from growbench.pipeline.pretrain import identity as run_identity
from growbench.pipeline.zeroshot.likelihood import Likelihood, score
from growbench.pipeline.zeroshot.tokenized import TokenizedTest, description, prepare
from growbench.records import finished, identity, provenance, record
from growbench.records.identity import Identity
from growbench.runtime import launch, lock
from growbench.runtime.memory import reuse_freed_memory
from growbench.study.study import Study
from growbench.tasks import language
from growbench.train import device

log = logging.getLogger(__name__)


@reuse_freed_memory()
def run(study: Study, method: str, seeds: list[int], points: list[str]) -> list[Path]:
    """Evaluate `points` of a method's runs with these pre-training seeds; return the paths of their records."""
    with lock.held(study.layout.lock("zeroshot", method)):
        return _run(study, method, seeds, points)


def _run(study: Study, method: str, seeds: list[int], points: list[str]) -> list[Path]:
    torch.set_num_threads(launch.threads(study.zeroshot.threads))
    paths = []
    wanted = [(seed, point) for seed in seeds for point in points]
    folders = [
        finished.point(study.layout, run_identity.wanted(study, method, seed), method, seed, point)
        for seed, point in wanted
    ]
    texts = [language.load(name, study) for name in study.zeroshot.names]
    tokenizer = plain.load(study.layout.tokenizer)
    tests = [prepare(study, tokenizer, text) for text in texts]
    family, compute = families.load(study.target.family), device.resolve(study.train.device, study.train.precision)
    start = time.perf_counter()
    for (seed, point), folder in zip(wanted, folders, strict=True):
        model = family.model_class().from_pretrained(folder)
        compute.place(model).eval()
        runs = []
        for test in tests:
            began = time.perf_counter()
            found = measured(test, score(family, model, test.windows, study.zeroshot.batch, compute))
            runs.append({**found, "seconds": round(time.perf_counter() - began, 2)})
            log.info("%s-s%d %s, %s: %s %s", method, seed, point, test.text.name, found["main_metric"], found["score"])
        origin = evaluation.origin(study.layout, folder, compute) | {
            "tasks": {t.name: {"test": t.sha256} for t in texts}
        }
        paths.append(_write(study, method, seed, point, origin, description(study, tokenizer), runs))
        left = (len(wanted) - len(paths)) * (time.perf_counter() - start) / len(paths)
        log.info("%d of %d points done; about %.0f s left", len(paths), len(wanted), left)
    return paths


def _write(
    study: Study, method: str, seed: int, point: str, origin: Identity, tokenization: dict[str, Any],
    runs: list[dict[str, Any]],
) -> Path:  # fmt: skip
    length, stride, config = study.objective.length, study.zeroshot.stride, record.config_hash(study.zeroshot_part())
    path, whole = study.layout.zeroshot_record(method, seed, point), identity.parts(config=config, **origin)
    evaluation.unchanged(path, whole, {})
    return record.write(
        path, "zeroshot", study=study.study, method=method, seed=seed, point=point, config_hash=config, made_from=whole,
        window={"length": length, "stride": stride, "context": length - stride + 1},
        tokenisation=tokenization, runs=runs, provenance=provenance.of(torch.get_num_threads()),
    )  # fmt: skip


def measured(test: TokenizedTest, scored: list[Likelihood]) -> dict[str, Any]:
    """Return the metrics of one test set, and the counts behind them.

    perplexity: per token.
    word_perplexity: per word separated by spaces, so that different tokenizers can be compared.
    word_perplexity_eos: per word and line end, as word-level models count.
    accuracy: the share of last words of which greedy decoding gets every token right; a word with an unknown token is
    wrong.
    """
    text, nats = test.text, math.fsum(float(part.nats.sum()) for part in scored)
    tokens, words = sum(len(part.nats) for part in scored), text.words
    metrics: dict[str, float | None] = {"perplexity": _exp(nats, tokens), "word_perplexity": _exp(nats, words)}
    main = "word_perplexity"
    if text.last_word:
        right = [bool(part.right.all()) for part in scored]
        metrics["accuracy"], main = float(np.mean(np.asarray(right) & (test.unknown == 0))), "accuracy"
    else:
        metrics["word_perplexity_eos"] = _exp(nats, words + len(text.lines))
    failed = None in metrics.values()
    counts = {"n_tokens": tokens, "n_words": words, "n_lines": len(text.lines), "n_unknown": int(test.unknown.sum())}
    return {
        "task": text.name, "subset": text.subset, **counts, "n_cut": test.cut,
        "nats": nats if math.isfinite(nats) else None, "metrics": metrics, "main_metric": main, "score": metrics[main],
        "failed": failed,
    }  # fmt: skip


def _exp(nats: float, count: int) -> float | None:
    """Return exp(nats / count), None if that is not a finite number."""
    value = nats / count
    return math.exp(value) if value < 700 else None
