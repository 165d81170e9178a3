"""growbench finetune: fine-tune or probe finished points on every task with every fine-tuning seed and LR, in one process.

Each task is tokenized once for all runs of a method. Batches hold rows of similar length. There is one record per
finished point. Finished fine-tunings are cached: a stopped job resumes from them, and a job that is asked for again does
only those of which something has changed.
"""

import functools
import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from growbench import families
from growbench.errors import GrowBenchError
from growbench.pipeline import evaluation
from growbench.pipeline.corpus import plain
from growbench.pipeline.corpus.plain import PlainTokenizer
from growbench.pipeline.finetune import classify, features, images, probe, spans
from growbench.pipeline.finetune.cache import Cache, of_task
from growbench.pipeline.finetune.fit import Start, fit, start
from growbench.pipeline.finetune.images import ImageTask
from growbench.pipeline.finetune.probe import ProbedTask, Prober
from growbench.pipeline.finetune.tokenized import PreparedTask, TokenizedTask
from growbench.pipeline.pretrain import identity as run_identity
from growbench.records import finished, identity, provenance, record
from growbench.records.identity import Identity
from growbench.runtime import launch, lock
from growbench.runtime.memory import reuse_freed_memory
from growbench.study.sections import FinetuneConfig
from growbench.study.squad import SQUAD_TASKS
from growbench.study.study import Study
from growbench.train import device
from growbench.train.device import Compute

PROBE = "probe"  # of finetune.protocol
BASELINE = "scratch"  # whose record holds the floor of counts of tokens
log = logging.getLogger(__name__)
Ready = PreparedTask | ImageTask


@reuse_freed_memory()
def run(study: Study, method: str, seeds: list[int], points: list[str]) -> list[Path]:
    """Fine-tune `points` of a method's runs with these pre-training seeds; return the paths of their records."""
    with lock.held(study.layout.lock("finetune", method)):
        return _run(study, method, seeds, points)


def _run(study: Study, method: str, seeds: list[int], points: list[str]) -> list[Path]:
    torch.set_num_threads(launch.threads(study.finetune.threads))
    began, paths = time.perf_counter(), []
    wanted = [(seed, point) for seed in seeds for point in points]
    folders = [
        finished.point(study.layout, run_identity.wanted(study, method, seed), method, seed, point)
        for seed, point in wanted
    ]
    tokenizer = None if study.images else plain.load(study.layout.tokenizer)
    if tokenizer is not None:
        for folder in folders:
            _check_positions(study, folder)
    pad = 0 if tokenizer is None else tokenizer.fast.pad_token_id
    tasks = [prepare(study, tokenizer, name) for name in study.tasks.names]
    compute = device.resolve(study.train.device, study.train.precision)
    for number, ((seed, point), folder) in enumerate(zip(wanted, folders, strict=True)):
        runs, origin = [], evaluation.origin(study.layout, folder, compute)
        cache = Cache(study.layout.run(method, seed).finetuned(point), origin)
        prober = Prober.of(study, folder, compute)
        for done, task in enumerate(tasks, 1):
            own = _task(study, folder, task, pad, compute, cache, prober, seed)
            if method == BASELINE and tokenizer is not None and not isinstance(task, ImageTask):
                own = _floored(study, tokenizer, task, cache, own)
            runs += own
            passed, share = time.perf_counter() - began, (number + done / len(tasks)) / len(wanted)
            log.info(
                "%s-s%d %s: %s done (%d of %d tasks); about %.0f s left for all points",
                method, seed, point, task.task.name, done, len(tasks), passed / share - passed,
            )  # fmt: skip
        files = {"tasks": {task.task.name: dict(task.task.files) for task in tasks}}
        labels = {task.task.name: kept for task in tasks if (kept := task.labels()) is not None}
        paths.append(_write(study, method, seed, point, {**origin, **files}, runs, labels))
    return paths


def _write(
    study: Study, method: str, seed: int, point: str, origin: Identity, runs: list[dict[str, Any]], labels: dict[str, Any]
) -> Path:  # fmt: skip
    """Write a record, unless it is there already, made from the same; return its path."""
    config = record.config_hash(study.finetuned_part())
    values: dict[str, Any] = {
        "study": study.study, "config_hash": config, "made_from": identity.parts(config=config, **origin),
        "suite": suite(study), "protocol": study.finetune.protocol, "runs": runs, "labels": labels,
    }  # fmt: skip
    path = study.layout.finetune_record(method, seed, point)
    if evaluation.unchanged(path, values["made_from"], values):
        log.info("%s: nothing of what it is made from has changed", path)
        return path
    where = provenance.of(torch.get_num_threads())
    return record.write(path, "finetune", method=method, seed=seed, point=point, **values, provenance=where)


def _check_positions(study: Study, folder: Path) -> None:
    """Raise GrowBenchError if a model was trained before the config asked for longer examples."""
    from transformers import AutoConfig

    have = families.load(study.target.family).spec(AutoConfig.from_pretrained(folder)).max_length
    if have < study.finetune.longest:
        raise GrowBenchError(
            f"{folder}: {have} positions, fewer than the {study.finetune.longest} tokens of finetune.max_length; use at "
            f"most {have}, or delete the run and train it again"
        )


def suite(study: Study) -> str:
    """Return the name of the study's tasks as a whole."""
    if study.tasks.source in ("toyglue", "toyimages"):
        return study.tasks.source
    if study.images is not None:
        return "images"
    found = {"SQuAD" if name in SQUAD_TASKS else "GLUE" for name in study.tasks.names}
    return " and ".join(sorted(found))


def prepare(study: Study, tokenizer: PlainTokenizer | None, name: str) -> Ready:
    """Read and tokenize one task; tasks of images have no tokenizer."""
    settings = study.finetune.of(name)
    if tokenizer is None:
        return images.prepare(study, name, settings)
    if settings.protocol == PROBE:
        return probe.prepare(study, tokenizer, name, settings)
    kind = spans if name in SQUAD_TASKS else classify
    return kind.prepare(study, tokenizer, name, settings)


def _task(
    study: Study, folder: Path, task: Ready, pad: int, compute: Compute, cache: Cache, prober: Prober, run: int
) -> list[dict[str, Any]]:
    """Return all runs of one task from one finished point: each LR with each seed. run: seed of its pre-training."""
    settings, runs = study.finetune.of(task.task.name), []
    if isinstance(task, ImageTask):
        return images.runs(study, folder, task, compute, cache)
    if isinstance(task, ProbedTask):
        return [_probe(prober, task, settings, seed, cache) for seed in settings.seeds]
    assert isinstance(task, TokenizedTask)
    own, dropout = of_task(settings, task.task.files), families.load(study.target.family).dropout(settings.dropout)
    begin = functools.cache(lambda: start(task.model(folder, pad, dropout), pad, compute))
    for lr in settings.rates:
        for seed in settings.seeds:
            name = f"{task.task.name}-{lr}-{seed}"
            runs.append(cache.once(name, own, partial(_fit, begin, task, settings, lr, seed, _drawn(study, run, seed))))
            done = runs[-1]
            log.info("%s, seed %d, LR %g: %s %.4f", done["task"], seed, lr, done["main_metric"], done["score"])
    return runs


def _floored(
    study: Study, tokenizer: PlainTokenizer, task: PreparedTask, cache: Cache, runs: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return runs with the score of a linear model on counts of tokens beside them; a probe has its own, SQuAD none."""
    name = task.task.name
    if isinstance(task, ProbedTask) or name in SQUAD_TASKS:
        return runs
    settings = study.finetune.of(name)
    found = cache.once(
        f"words-{name}", of_task(settings, task.task.files), lambda: _words(study, tokenizer, name, settings)
    )
    return [{**run, "floors": found} for run in runs]


def _words(study: Study, tokenizer: PlainTokenizer, name: str, settings: FinetuneConfig) -> dict[str, Any]:
    task = probe.prepare(study, tokenizer, name, settings)
    with threadpool_limits(study.finetune.threads):
        score = task.floor("words", lambda ids: features.counts(ids, task.vocab), settings.seeds[0])
    return {"bag_of_words": score}


def _probe(prober: Prober, task: ProbedTask, settings: FinetuneConfig, seed: int, cache: Cache) -> dict[str, Any]:
    name, own = f"probe-{task.task.name}-{seed}", of_task(settings, task.task.files) | {"probe": probe.VERSION}
    done = cache.once(name, own, partial(prober.fit, task, seed))
    log.info("probe of %s, seed %d: %s %.4f", done["task"], seed, done["main_metric"], done["score"])
    return done


def _drawn(study: Study, run: int, seed: int) -> int:
    """Return the seed of a fine-tuning's random numbers. run: seed of the pre-training.

    Runs from one checkpoint may have the same weights, and would repeat one another without the run's seed.
    """
    return seed if study.checkpoint is None else int(np.random.SeedSequence([run, seed]).generate_state(1)[0])


def _fit(
    begin: Callable[[], Start], task: TokenizedTask, settings: FinetuneConfig, lr: float, seed: int, drawn: int
) -> dict[str, Any]:
    return {**fit(begin(), task, settings, lr, drawn), "seed": seed}
