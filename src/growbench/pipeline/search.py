"""growbench search: try learning rates for one method or the source, with the first seed and a share of the budget.

Every method and the source get the same LRs and the same share of their own budget. All seeds are then trained with
the LR that has the lowest validation loss after its cool-down. A trial that diverges is recorded as failed.
"""

import logging
import shutil
from pathlib import Path
from typing import Any

import torch

from growbench.errors import GrowBenchError
from growbench.pipeline.pretrain import record as run_record
from growbench.pipeline.pretrain import run as pretrain
from growbench.records import record
from growbench.runtime.memory import reuse_freed_memory
from growbench.spec import SOURCE
from growbench.study.study import Study
from growbench.train.processes.ranks import Ranks
from growbench.train.segment import Diverged

log = logging.getLogger(__name__)


def chosen(study: Study, method: str) -> float | None:
    """Return the LR that the search chose for a method; None if the study does not search it.

    Raises GrowBenchError if there is no record of this search.
    """
    if not study.searched(method):
        return None
    path = study.layout.search_record(method)
    values = record.read(path, "search", method, study.seeds[0])
    tried = [trial["lr"] for trial in values["trials"]]
    if tried != list(study.search.lrs):
        raise GrowBenchError(
            f"{path}: it tried {tried}, but search.lrs is {list(study.search.lrs)}; run the search again"
        )
    return float(values["lr"])


@reuse_freed_memory()
def run(study: Study, method: str) -> Path:
    """Try every LR of search.lrs and return the path of the record. Raises GrowBenchError if every trial diverges."""
    if not study.searched(method):
        raise GrowBenchError(
            f"search.lrs: study {study.study} searches no LR for {method}; give at least two, and no lr in its options"
        )
    seed = study.seeds[0]
    with pretrain.together(study, study.layout.search(method)) as joined:
        trials = [_trial(study, method, seed, joined, lr) for lr in study.search.lrs]
        return _conclude(study, method, trials, joined.count) if joined.first else study.layout.search_record(method)


def _conclude(study: Study, method: str, trials: list[dict[str, Any]], processes: int) -> Path:
    """Choose the LR, write the record and delete the trials' folders; return the path of the record."""
    finite = [trial for trial in trials if trial["loss"] is not None]
    if not finite:
        raise GrowBenchError(f"search.lrs: {method} diverges at each of them; add smaller ones")
    best = min(finite, key=lambda trial: float(trial["loss"]))
    path = record.write(
        study.layout.search_record(method), "search", study=study.study, method=method, seed=study.seeds[0],
        config_hash=record.digest(study.trained_part()),
        method_hash=run_record.method_hash(None if method == SOURCE else study.method(method)),
        share=study.search.share, lr=best["lr"], trials=trials,
        provenance=record.provenance(torch.get_num_threads(), processes),
    )  # fmt: skip
    shutil.rmtree(study.layout.search(method).path, ignore_errors=True)
    log.info("%s: LR %g is the best of %s", method, best["lr"], ", ".join(f"{lr:g}" for lr in study.search.lrs))
    return path


def _trial(study: Study, method: str, seed: int, ranks: Ranks, lr: float) -> dict[str, Any]:
    """Train with one LR; return it with the loss and the FLOPs of its finished point, None if it diverged."""
    trial: dict[str, Any] = {"lr": lr, "loss": None, "flops": None}
    share = study.search.share
    folder = study.layout.trial(method, share, lr)
    try:
        journal = pretrain.Run(study, method, seed, ranks, lr, folder, share).train()
    except Diverged as error:
        log.warning("%s at LR %g failed: %s", method, lr, error)
        return trial
    log.info("%s at LR %g: loss %.4f", method, lr, journal.points[-1]["loss"])
    return {**trial, "loss": journal.points[-1]["loss"], "flops": journal.points[-1]["flops"]}
