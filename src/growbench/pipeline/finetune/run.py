"""growbench finetune: fine-tune finished points on every task with every fine-tuning seed (and LR), in one process.

Each task is tokenised once for all of a method's runs. Batches hold rows of like length. One record a point; what is
fine-tuned is kept until then, so that a job that is ended goes on.
"""

import logging
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch

from growbench import families
from growbench.errors import GrowBenchError
from growbench.pipeline.finetune import classify, spans
from growbench.pipeline.finetune.cache import Kept, kept
from growbench.pipeline.finetune.classify import Ready, inputs, offset, results
from growbench.pipeline.finetune.fit import fit, start
from growbench.pipeline.finetune.ready import Tokenised
from growbench.pipeline.finetune.rows import Encoded, batches, collate
from growbench.records import finished, record
from growbench.runtime import launch, lock
from growbench.runtime.memory import reuse_freed_memory
from growbench.study.squad import SQUAD_TASKS
from growbench.study.study import Study

__all__ = ["Encoded", "Ready", "batches", "collate", "inputs", "offset", "prepare", "results", "run"]

log = logging.getLogger(__name__)


@reuse_freed_memory()
def run(study: Study, method: str, seeds: list[int], points: list[str]) -> list[Path]:
    """Fine-tune `points` of a method's runs with these pre-training seeds; return their records."""
    with lock.held(study.layout.lock("finetune", method)):
        return _run(study, method, seeds, points)


def _run(study: Study, method: str, seeds: list[int], points: list[str]) -> list[Path]:
    torch.set_num_threads(launch.threads(study.finetune.threads))
    begun, paths = time.perf_counter(), []
    trained = record.digest(study.trained_part())
    wanted = [(seed, point) for seed in seeds for point in points]
    folders = [finished.point(study.layout, trained, method, seed, point) for seed, point in wanted]
    for folder in folders:
        _check_positions(study, folder)
    tokenizer = _tokenizer(study.layout.tokenizer)
    tasks = [prepare(study, tokenizer, name) for name in study.tasks.names]
    for number, ((seed, point), folder) in enumerate(zip(wanted, folders, strict=True)):
        runs, memory = [], kept(study, method, seed, point)
        for done, ready in enumerate(tasks, 1):
            runs += _task(study, folder, ready, tokenizer.pad_token_id, memory)
            passed, share = time.perf_counter() - begun, (number + done / len(tasks)) / len(wanted)
            log.info("%s-s%d %s %s done, %.0f s left", method, seed, point, ready.task.name, passed / share - passed)
        paths.append(_write(study, method, seed, point, runs))
    for (
        seed,
        point,
    ) in wanted:  # not before the last record: Snakemake takes all of a job's records away when it ends early
        kept(study, method, seed, point).forget()
    return paths


def _write(study: Study, method: str, seed: int, point: str, runs: list[dict[str, Any]]) -> Path:
    return record.write(
        study.layout.finetune_record(method, seed, point), "finetune",
        study=study.study, method=method, seed=seed, point=point, config_hash=record.digest(study.finetuned_part()),
        suite=suite(study), protocol=study.finetune.protocol, runs=runs,
        provenance=record.provenance(torch.get_num_threads()),
    )  # fmt: skip


def _check_positions(study: Study, folder: Path) -> None:
    """Raise where a model was trained before the config asked for longer examples."""
    from transformers import AutoConfig

    have = families.load(study.target.family).spec(AutoConfig.from_pretrained(folder)).max_length
    if have < study.finetune.longest:
        raise GrowBenchError(
            f"{folder}: {have} positions, fewer than the {study.finetune.longest} tokens of finetune.max_length; use at "
            f"most {have}, or delete the run and train it again"
        )


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def suite(study: Study) -> str:
    """Return what the study's tasks are called together."""
    if study.tasks.source == "toyglue":
        return "toyglue"
    found = {"SQuAD" if name in SQUAD_TASKS else "GLUE" for name in study.tasks.names}
    return " and ".join(sorted(found))


def prepare(study: Study, tokenizer: Any, name: str) -> Tokenised:
    """Read and tokenise one task."""
    kind = spans if name in SQUAD_TASKS else classify
    return kind.prepare(study, tokenizer, name, study.finetune.of(name))


def _task(study: Study, folder: Path, ready: Tokenised, pad: int, memory: Kept) -> list[dict[str, Any]]:
    """Every run of one task from one finished point: each LR with each seed."""
    own, runs = study.finetune.of(ready.task.name), []
    begin = start(ready.model(folder, pad, families.load(study.target.family).dropout(own.dropout)), pad)
    for lr in own.rates:
        for seed in own.seeds:
            name = f"{ready.task.name}-{lr}-{seed}"
            runs.append(memory.once(name, partial(fit, begin, ready, own, lr, seed)))
            done = runs[-1]
            log.info("%s seed %d LR %g %s %.4f", done["task"], seed, lr, done["main_metric"], done["score"])
    return runs
