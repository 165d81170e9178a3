"""growbench search: try learning rates for one method or the source, with a seed of its own and a share of the budget.

Every method and the source get the same LRs and the same share of their own budget. All seeds are then trained with
the LR that has the lowest validation loss after its cool-down. A trial that diverges is recorded as failed.
"""

import logging
import shutil
from pathlib import Path
from typing import Any

import torch

from growbench.errors import GrowBenchError
from growbench.pipeline.pretrain import identity as run_identity
from growbench.pipeline.pretrain import run as pretrain
from growbench.records import identity, provenance, record
from growbench.records.identity import Identity
from growbench.runtime.memory import reuse_freed_memory
from growbench.study.study import Study
from growbench.study.timeline import CONFIGURED, Peak
from growbench.train.processes.ranks import Ranks
from growbench.train.segment import Diverged

log = logging.getLogger(__name__)


def chosen(study: Study, method: str) -> Peak:
    """Return the LR that the search chose for a method; the config's if the study does not search it.

    Raises GrowBenchError if there is no record of this search.
    """
    if not study.searched(method):
        return CONFIGURED
    path = study.layout.search_record(method)
    values = record.read(path, "search", method, study.search.seed)
    if reason := _stale(study, method, values):
        raise GrowBenchError(f"{path}: {reason}; run `growbench search --method {method}` again")
    return Peak(float(values["lr"]))


def _stale(study: Study, method: str, values: dict[str, Any]) -> str:
    """Return why the record of a search is not of the study at hand; empty if it is."""
    tried = [trial["lr"] for trial in values["trials"]]
    if tried != list(study.search.lrs):
        return f"it tried {tried}, but search.lrs is {list(study.search.lrs)}"
    wanted = run_identity.wanted(study, method, study.search.seed, study.search.share)
    wanted = {key: value for key, value in wanted.items() if key not in ("lr", "warmup")}
    return identity.changes(values.get("identity"), wanted)


@reuse_freed_memory()
def run(study: Study, method: str) -> Path:
    """Try every LR of search.lrs and return the path of the record. Raises GrowBenchError if every trial diverges."""
    if not study.searched(method):
        raise GrowBenchError(
            f"search.lrs: no LR to try for {method} in study {study.study}; list some, and leave out methods.{method}.lr"
        )
    with pretrain.together(study, study.layout.search(method)) as joined:
        if joined.agree(_due(study, method)):
            trials = [_trial(study, method, joined, lr) for lr in study.search.lrs]
            if joined.first:
                _conclude(study, method, trials, joined.count)
        if joined.first:
            shutil.rmtree(study.layout.search(method).path, ignore_errors=True)
    return study.layout.search_record(method)


def _due(study: Study, method: str) -> bool:
    """Return whether there is no record of this search, or only a stale one; report which."""
    path = study.layout.search_record(method)
    if not path.exists():
        return True
    reason = _stale(study, method, record.read(path, "search", method, study.search.seed))
    log.info("%s: %s", path, f"{reason}; searching again" if reason else "nothing that it depends on has changed")
    return bool(reason)


def _conclude(study: Study, method: str, trials: list[tuple[dict[str, Any], Identity]], processes: int) -> None:
    """Choose the LR and write the record. trials: each with its identity."""
    finite = [trial for trial, _ in trials if trial["loss"] is not None]
    if not finite:
        raise GrowBenchError(f"search.lrs: {method} diverges at each of them; add smaller ones")
    best = min(finite, key=lambda trial: float(trial["loss"]))
    common = {key: value for key, value in trials[0][1].items() if key not in ("lr", "warmup")}
    record.write(
        study.layout.search_record(method), "search", study=study.study, method=method, seed=study.search.seed,
        config_hash=common["config"], identity=common, share=study.search.share, lr=best["lr"],
        trials=[trial for trial, _ in trials], provenance=provenance.of(torch.get_num_threads(), processes),
    )  # fmt: skip
    log.info("%s: LR %g is the best of %s", method, best["lr"], ", ".join(f"{lr:g}" for lr in study.search.lrs))


def _trial(study: Study, method: str, ranks: Ranks, lr: float) -> tuple[dict[str, Any], Identity]:
    """Train with one LR; return it with the loss and the FLOPs of its finished point, and the identity of the run.

    Of a trial that diverged, loss and FLOPs are None.
    """
    trial: dict[str, Any] = {"lr": lr, "loss": None, "flops": None}
    share = study.search.share
    folder = study.layout.trial(method, share, lr)
    run = pretrain.Run(study, method, study.search.seed, ranks, Peak(lr), folder, share, "choose")
    try:
        last = run.train().points[-1]
    except Diverged as error:
        log.warning("%s at LR %g failed: %s", method, lr, error)
        return trial, run.identity
    log.info("%s at LR %g: loss %.4f", method, lr, last["loss"])
    return {**trial, "loss": last["loss"], "flops": last["flops"]}, run.identity
