"""growbench search: try learning rates and warm-ups for one method or the source, with a seed of its own and a share of the budget.

Every method and the source start from the same values and get the same share of their own budget; bracket.py says which
trials follow. All seeds are then trained with what was chosen. A trial that diverges is recorded as failed. An
interrupted search finds the trials that it has finished.
"""

import logging
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from growbench.errors import GrowBenchError
from growbench.pipeline.pretrain import run as pretrain
from growbench.pipeline.search import bracket, choice
from growbench.pipeline.search.bracket import Choice, Warmup
from growbench.records import provenance, record
from growbench.records.identity import Identity
from growbench.runtime import durable
from growbench.runtime.memory import reuse_freed_memory
from growbench.study.study import Study
from growbench.study.timeline import Peak
from growbench.train.processes.ranks import Ranks
from growbench.train.segment import Diverged

log = logging.getLogger(__name__)


@reuse_freed_memory()
def run(study: Study, method: str) -> Path:
    """Search for a method's LR and warm-up and return the path of the record.

    Raises GrowBenchError if search.most trials do not bracket the best one; its finished trials are kept.
    """
    if not study.searched(method):
        raise GrowBenchError(
            f"search.lrs: nothing to search for {method} in study {study.study}; list LRs or search.warmups, and leave out "
            f"methods.{method}.lr and warmup"
        )
    with pretrain.together(study, study.layout.search(method)) as joined:
        if joined.agree(_due(study, method)):
            trials = Trials(study, method, joined)
            try:
                found = bracket.search(*choice.axes(study, method), trials.loss, study.search.most)
            except GrowBenchError as error:
                raise GrowBenchError(f"{method}: {error}") from error
            if joined.first:
                _conclude(study, method, trials, found)
        if joined.first:
            shutil.rmtree(study.layout.search(method).path, ignore_errors=True)
    return study.layout.search_record(method)


def _due(study: Study, method: str) -> bool:
    """Return whether there is no record of this search, or only a stale one; report which."""
    path = study.layout.search_record(method)
    if not path.exists():
        return True
    reason = choice.stale(study, method, record.read(path, "search", method, study.search.seed))
    log.info("%s: %s", path, f"{reason}; searching again" if reason else "nothing that it depends on has changed")
    return bool(reason)


@dataclass
class Trials:
    """The trials of one search.

    ranks: the processes that train them.
    taken: LR, warm-up, loss (nats) and FLOPs of each; of one that diverged, loss and FLOPs are None.
    identity: of the last one.
    """

    study: Study
    method: str
    ranks: Ranks
    taken: list[dict[str, Any]] = field(default_factory=list)
    identity: Identity = field(default_factory=dict)

    def loss(self, lr: float, warmup: Warmup) -> float | None:
        """Train with an LR and a warm-up; return the loss of the finished point on the documents that choose."""
        search, words = self.study.search, choice.told(lr, warmup)
        folder = self.study.layout.trial(self.method, search.share, lr, warmup)
        run = pretrain.Run(
            self.study, self.method, search.seed, self.ranks, Peak(lr, warmup), folder, search.share, "choose"
        )  # fmt: skip
        trial: dict[str, Any] = {"lr": lr, "warmup": warmup, "loss": None, "flops": None}
        self.taken.append(trial)
        self.identity = run.identity
        if folder.diverged.exists() and durable.read_json(folder.diverged) == run.identity:
            log.info("%s at %s diverged before", self.method, words)
            return None
        try:
            last = run.train().points[-1]
        except Diverged as error:
            log.warning("%s at %s failed: %s", self.method, words, error)
            if self.ranks.first:
                durable.write_json(folder.diverged, run.identity)
            return None
        log.info("%s at %s: loss %.4f", self.method, words, last["loss"])
        trial |= {"loss": last["loss"], "flops": last["flops"]}
        return float(last["loss"])


def _conclude(study: Study, method: str, trials: Trials, found: Choice) -> None:
    """Write the record."""
    common = {key: value for key, value in trials.identity.items() if key not in choice.CHOSEN}
    record.write(
        study.layout.search_record(method), "search", study=study.study, method=method, seed=study.search.seed,
        config_hash=common["config"], identity=common, share=study.search.share, lr=found.lr, warmup=found.warmup,
        bracketed=found.bracketed, margin=found.margin, trials=trials.taken,
        provenance=provenance.of(torch.get_num_threads(), trials.ranks.count),
    )  # fmt: skip
    log.info("%s: %s, after %d trials", method, choice.told(found.lr, found.warmup), len(trials.taken))
