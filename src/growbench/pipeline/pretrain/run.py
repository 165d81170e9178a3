"""growbench pretrain: run one method's plan for one seed, from the corpus to finished points and a record.

The trunk trains at constant LR through the plan's stages. At each budget point a copy of it is cooled down to LR 0.
That is the finished point, and the FLOPs of its cool-down count towards its budget. An interrupted run resumes from
its last checkpoint when the same command is run again.
"""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from growbench.errors import GrowBenchError
from growbench.growth.spectrum import tail_energy
from growbench.pipeline.corpus.parts import Purpose
from growbench.pipeline.pretrain import identity, progress, setup, validation
from growbench.pipeline.pretrain import record as run_record
from growbench.pipeline.pretrain.journal import Journal
from growbench.pipeline.pretrain.pace import Pace
from growbench.pipeline.pretrain.state import RunState
from growbench.plan import schedule
from growbench.plan.slope import flattened
from growbench.records import finished, provenance, restored
from growbench.records import identity as record_identity
from growbench.records.layout import RunFolder, run_name
from growbench.runtime import interrupt, launch, lock
from growbench.runtime.memory import reuse_freed_memory
from growbench.study.study import Study, point_name
from growbench.study.timeline import CONFIGURED, Peak
from growbench.train import checkpoint, device
from growbench.train.clock import Clock
from growbench.train.loop import Trainer, evaluate
from growbench.train.objective import hits, losses
from growbench.train.processes import ranks
from growbench.train.processes.ranks import Ranks
from growbench.train.segment import Diverged
from growbench.train.windows import Windows

log = logging.getLogger(__name__)
SLOPED = 20  # validation losses of a stage that ends by the slope of its loss
OTHER = "its models cannot be made again like this: use the code and the values that it was made with, or delete it and run its job again"
DIVERGED = 10.0  # a run that learns never has this many times the loss of a uniform prediction, or of its stage's start


@reuse_freed_memory()
def run(study: Study, method: str, seed: int, peak: Peak = CONFIGURED) -> Path:
    """Train one run and return the path of its record; the other processes that torchrun started take part.

    method: a method of the study, or `source`, the small model. peak: LR and warm-up that a search chose.
    """
    with together(study, study.layout.run(method, seed)) as joined:
        return Run(study, method, seed, joined, peak).execute()


@reuse_freed_memory()
def restore(study: Study, method: str, seed: int, peak: Peak = CONFIGURED) -> Path:
    """Train the models of a run again whose record is here already, and return the path of what says how they differ from it.

    The record stays as it is. Raises GrowBenchError, before anything is trained, if it is missing or of something else.
    """
    found = finished.values(study.layout, identity.wanted(study, method, seed), method, seed)
    with together(study, study.layout.run(method, seed)) as joined:
        return Run(study, method, seed, joined, peak).restore(found)


@contextmanager
def together(study: Study, folder: RunFolder) -> Iterator[Ranks]:
    """Join the other processes; the first of them holds the lock of a folder as long as this lasts."""
    place = device.resolve(study.train.device, study.train.precision).device
    with (
        ranks.joined(study.optimizer.batch, study.train.accumulate, place) as joined,
        lock.held(folder.lock) if joined.first else nullcontext(),
    ):
        yield joined


class Run:
    """One method with one seed: the loop over its timeline."""

    def __init__(
        self,
        study: Study,
        method: str,
        seed: int,
        together: Ranks,
        peak: Peak = CONFIGURED,
        folder: RunFolder | None = None,
        share: float = 1.0,
        purpose: Purpose = "report",
    ) -> None:
        """Set up a run; nothing is trained yet.

        together: the processes that train it. peak: LR and warm-up that a search chose. folder, share, purpose: a trial of
        a search has a folder of its own and a share of the budget, and is scored on the documents that choose.
        """
        torch.set_num_threads(launch.threads(study.train.threads, launch.beside()))
        self.study, self.method, self.ranks, self.name = study, method, together, run_name(method, seed)
        self.purpose: Purpose = purpose
        self.folder = folder or study.layout.run(method, seed)
        self.corpus = setup.corpus_of(study)
        self.vocab = int(self.corpus.manifest["vocab"])
        self.timeline = identity.timeline_of(study, method, seed, self.vocab, peak, share)
        self.stages = setup.stages_of(study, method, seed, self.timeline, self.corpus, together)
        self.journal = Journal(source=identity.counted_source(study, method, seed))
        self.identity = identity.of(
            study, method, seed, self.timeline, text=self.corpus.digest, share=share,
            precision=self.stages.models.compute.precision,
        )  # fmt: skip
        self.timeline.check_text(method, len(self.corpus.train))

    def execute(self) -> Path:
        """Train what is not trained yet and write the record."""
        self.train()
        return run_record.write(
            self.study, self.method, self.stages, self.journal, self.final, self.corpus.manifest, self.identity
        )

    def restore(self, found: Mapping[str, Any]) -> Path:
        """Train what is not trained yet, and write how it differs from a record. found: the record."""
        if changed := record_identity.changes(found["identity"], self.identity):
            raise GrowBenchError(f"{self.study.layout.run_record(self.method, found['seed'])}: {changed}; {OTHER}")
        points = self.train().points
        if not self.ranks.first:
            return self.folder.restored
        path = restored.write(self.folder, found, points, provenance.of(torch.get_num_threads(), self.ranks.count))
        far = max(abs(new["loss"] - old["loss"]) for new, old in zip(points, found["points"], strict=True))
        log.info("%s: its models are here again; their losses are within %.2g nats of the record's", self.name, far)
        return path

    def train(self) -> Journal:
        """Train what is not trained yet and return the journal. A signal stops it after the next checkpoint."""
        self.state = RunState(self.name, self.folder, self.identity, self.journal, self.stages)
        with interrupt.deferred():
            try:
                return self._train()
            finally:
                self.state.settle()

    def _train(self) -> Journal:
        self.clock, self.pace = Clock(self.ranks), Pace(self.name, self.ranks)
        measured = partial(validation.measured, self.study, self.corpus, self.stages.batches)
        self.valid, self.final = measured("trunk"), measured(self.purpose)
        resumed = self.state.resume()
        self.trainer = resumed if resumed and not self.journal.at.learning else self._enter(0, resumed)
        if all(self.journal.has(point_name(point)) for point in self.timeline.points):
            log.info("%s is finished, and nothing that it depends on has changed: nothing is trained", self.name)
        for share, kind, what in self.timeline.events():
            if kind == "stage" and what > self.journal.at.stage:
                self._trunk(share)
                self.trainer = self._enter(int(what), self.trainer)
            elif kind == "point" and not self.journal.has(point_name(what)):
                self._trunk(share)
                self._finish(what)
        return self.journal

    def _enter(self, index: int, before: Trainer | None) -> Trainer:
        """Begin a stage and measure the loss that it starts with.

        before: trainer of the previous stage, or of the stage's operator if that was being learned; None for neither.
        """
        stage, at = self.timeline.plan.stages[index], self.journal.at
        at.stage, learned = index, None
        if self.timeline.learning(index):
            learned, before = self._learn(index, before if at.learning else None), None
        at.entered, at.began = at.step, at.spent
        trainer = self.stages.enter(index, before, at.entered, learned)
        if stage.enter != "init":
            self.journal.ledger.add("grow", index, **self.clock.read())
        value = at.initial_loss = self._valid_loss(trainer, uncast=True)
        self.journal.row("trunk", "", 0.0, None, value)
        log.info("%s stage %d, %s: initial loss %.4f", self.name, index, stage.spec.short(), value)
        if learned is not None:
            self.state.pause(trainer)
        return trainer

    def _learn(self, index: int, resumed: Trainer | None) -> Any:
        """Learn the operator by which a stage is entered, and return the model that it makes of the source."""
        at, growth, method = self.journal.at, self.timeline.growths[index], self.stages.method
        assert growth is not None and method is not None
        at.learning = True
        self.trainer = resumed or self.stages.learner(index)
        composition: Any = self.trainer.model
        rates = method.learning(self.timeline.options)
        self._segment("grow", "", growth.steps, rates.lr_of_step)
        at.learning = False
        return composition.merged()

    def _trunk(self, share: float) -> None:
        """Train until `share` of the largest budget is spent, or the stage's loss has become flat."""
        at, budget = self.journal.at, self.timeline.budget
        rates, cost = self.timeline.schedule(at.stage, at.began), self.trainer.cost.flops
        every, turn = max(cost, self._every() * budget), len(self.trainer.variant.submodels)
        while (left := self.timeline.steps(share, at.spent, at.stage)) > 0 and not self._flat():
            due = every * (1 + (at.spent + turn * cost / 2) // every)
            until_eval = turn * max(1, round((due - at.spent) / cost / turn))
            self._segment("trunk", "", min(left, until_eval), partial(rates.lr_of_step, at.spent, cost))
            self.state.pause(self.trainer)

    def _every(self) -> float:
        """Return the share of the budget between validation losses; smaller if the slope of the loss ends the stage."""
        at, often = self.journal.at, self.study.train.eval_every
        stage = self.timeline.plan.stages[at.stage]
        return often if stage.slope is None else min(often, (stage.until - at.began / self.timeline.budget) / SLOPED)

    def _flat(self) -> bool:
        """Return whether the stage's loss is as flat as its plan waits for."""
        slope = self.timeline.plan.stages[self.journal.at.stage].slope
        return slope is not None and flattened(*self.journal.losses(), slope)

    def _segment(self, phase: str, point: str, count: int, lr: Callable[[int], float]) -> None:
        """Take the steps of a segment, then measure the validation loss and add a row to the curve."""
        at, segment = self.journal.at, self.journal.segment
        while segment.done < count:
            self._steps(count, lr)
            segment.passed(self.clock.read())
            if segment.done < count:
                self.state.pause(self.trainer)
        cost, budget = self.trainer.cost, self.timeline.budget
        train = self.journal.spend(phase, cost)
        valid = self._valid_loss(self.trainer) if phase == "trunk" else None
        if phase != "grow":
            self.journal.row(phase, point, lr(count - 1), train, valid)
        progress.segment(
            self.name, f"{phase} {point}".strip(), segment, count * cost.tokens, step=at.step, losses=(train, valid),
            spent=at.spent, budget=budget, left=(budget - at.spent) / cost.flops * cost.tokens,
        )  # fmt: skip

    def _steps(self, count: int, lr: Callable[[int], float]) -> None:
        """Take steps until the segment is done or a checkpoint is due."""
        at = self.journal.at
        before = self.stages.before_step(at.stage, self.trainer, at.spent, at.began)
        limit = DIVERGED * max(at.initial_loss or 0.0, math.log(self.vocab))
        try:
            self.trainer.run(at.step, count, lr, self.journal.segment, limit=limit, before=before, pause=self.state.due)
        except Diverged as error:
            raise self.state.diverged(str(error)) from error

    def _valid_loss(self, trainer: Trainer, *, uncast: bool = False) -> float:
        """Return the loss on all of the validation text, in nats per predicted token."""
        return self.valid.loss(self._evaluate(trainer, self.valid, uncast=uncast))

    def _accuracy(self) -> float | None:
        """Return the share of the images that a finished point is scored on whose class it predicts; None for text."""
        if self.study.images is None:
            return None
        found = evaluate(self.trainer, self.final, uncast=True, measure=hits)
        self.journal.ledger.add("eval", self.journal.at.stage, **self.clock.read())
        return float(found.mean())

    def _evaluate(self, trainer: Trainer, windows: Windows, *, uncast: bool) -> np.ndarray:
        """Return the loss of each document in nats, [documents]."""
        nats = evaluate(trainer, windows, uncast=uncast, measure=self.pace.timed(losses))
        self.pace.compare()
        if not np.isfinite(nats).all():
            raise self.state.diverged(f"the validation loss is {windows.loss(nats)} at step {self.journal.at.step}")
        self.journal.ledger.add("eval", self.journal.at.stage, **self.clock.read())
        return nats

    def _finish(self, fraction: float) -> None:
        """Cool a copy of the trunk down to LR 0, save it as a finished point, and go back to the trunk."""
        name, journal = point_name(fraction), self.journal
        at, budget = journal.at, self.timeline.budget
        self.state.leave(self.trainer)
        trunk = journal.position()
        steps = self.timeline.cooldown(fraction, at.spent, at.stage)
        if steps:
            top = self.timeline.schedule(at.stage, at.began).lr(at.spent, self.trainer.cost.flops)
            self._segment("cooldown", name, steps, partial(schedule.cooldown, top, steps))
        journal.row("cooldown", name, 0.0, None, self._valid_loss(self.trainer, uncast=True))
        nats = self._evaluate(self.trainer, self.final, uncast=True)
        value, accuracy = self.final.loss(nats), self._accuracy()
        model = self.stages.models.finished(self.timeline.plan.stages[at.stage], self.trainer)
        tail = saved = None
        if model is not None:
            checkpoint.save_model(self.folder.point(name), model, self.identity)
            saved = finished.model(self.folder.point(name))
            tail = tail_energy(self.stages.models.family, model, self.stages.source_spec.hidden)
        journal.finish(
            name, fraction, self.timeline.own(fraction) * budget, value, nats.tolist(), tail, saved, accuracy
        )
        told = "" if accuracy is None else f", accuracy {accuracy:.4f}"
        log.info("%s finished point %s: loss %.4f%s", self.name, name, value, told)
        journal.at = trunk
        self.state.put_back(self.trainer)
