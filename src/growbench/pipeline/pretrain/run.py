"""growbench pretrain: run one method's plan for one seed, from data to finished points and a record.

The trunk trains at constant LR through the plan's stages. At each budget point a copy of it is cooled down to LR 0:
that is the finished point, and its cool-down counts towards its budget. A run that is interrupted goes on from its
last checkpoint when the same command is given again.
"""

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch

from growbench import families
from growbench.errors import GrowBenchError
from growbench.families import Family
from growbench.growth.masking import ramp
from growbench.growth.spectrum import tail_energy
from growbench.pipeline.corpus import corpus
from growbench.pipeline.pretrain import record as run_record
from growbench.pipeline.pretrain.journal import FREE, Journal
from growbench.pipeline.pretrain.stages import Stages, objective_of
from growbench.pipeline.pretrain.state import RunState
from growbench.plan import schedule
from growbench.plan.slope import flattened
from growbench.records import finished, record
from growbench.records.layout import RunFolder, run_name
from growbench.runtime import interrupt, launch, lock
from growbench.runtime.memory import reuse_freed_memory
from growbench.spec import SOURCE, ModelSpec
from growbench.study import timeline
from growbench.study.study import Study, point_name
from growbench.train import checkpoint
from growbench.train.data import PackedSequences, Stream
from growbench.train.loop import Clock, Trainer, evaluate
from growbench.train.objective import Batch
from growbench.train.processes import ranks
from growbench.train.processes.ranks import Ranks
from growbench.train.segment import Diverged

log = logging.getLogger(__name__)
SLOPED = 20  # evaluations of a stage that ends by the slope of its loss
DIVERGED = 10.0  # times ignorance, or what its stage began with: no loss of a run that learns
VALIDATION_SEED, VALIDATION_BATCH = 7_654_321, 32


@reuse_freed_memory()
def run(study: Study, method: str, seed: int, lr: float | None = None) -> Path:
    """Train one run, with the other processes that torchrun started, if any, and return the path of its record. method may
    be `source`, the small model itself. lr: the peak LR that a search chose; None takes the config's.
    """
    with together(study, study.layout.run(method, seed)) as joined:
        return Run(study, method, seed, joined, lr).execute()


@contextmanager
def together(study: Study, folder: RunFolder) -> Iterator[Ranks]:
    """Join the other processes, the first of which holds the lock of a folder while this lasts."""
    with (
        ranks.joined(study.optimizer.batch, study.train.accumulate) as joined,
        lock.held(folder.lock) if joined.first else nullcontext(),
    ):
        yield joined


class Run:
    """One method, one seed. A trial of a search has a folder of its own, and a share of the budget."""

    def __init__(
        self,
        study: Study,
        method: str,
        seed: int,
        together: Ranks,
        lr: float | None = None,
        folder: RunFolder | None = None,
        share: float = 1.0,
    ) -> None:
        torch.set_num_threads(launch.threads(study.train.threads, together.count))
        self.ranks = together
        self.study, self.method, self.seed, self.name = study, method, seed, run_name(method, seed)
        self.folder = folder or study.layout.run(method, seed)
        self.corpus = corpus.load(study.layout.corpus)
        vocab, special = int(self.corpus.manifest["vocab"]), self.corpus.manifest["special"]
        self.source_spec: ModelSpec = study.source_spec(vocab)
        self.chosen = None if method == SOURCE else study.method(method)
        raised = share * self._source_point()["flops"] if self.chosen and self.chosen.control else 0.0
        self.course = timeline.of(timeline.short(study, share), method, vocab=vocab, raised=raised).at(lr)
        self.family: Family = families.load(study.target.family)
        self.objective = objective_of(study, int(special["mask"]), vocab)
        self.device = ranks.device(study.train.device)
        self.bf16 = study.train.precision == "bf16" or (study.train.precision == "auto" and self.device.type == "cuda")
        self.stages = self._stages()
        self.journal = Journal(source=self._source_point() if self.chosen and self.chosen.needs_source else FREE)
        self.course.check_text(method, len(self.corpus.train))

    def _stages(self) -> Stages:
        stream: Stream = "source" if self.method == SOURCE else "target"
        return Stages(
            course=self.course, method=self.chosen, seed=self.seed, family=self.family, source_spec=self.source_spec,
            source_folder=self.study.layout.run(SOURCE, self.seed).point(point_name(1.0)),
            objective=self.objective,
            windows=PackedSequences(self.corpus.train, self.study.objective.length, self._cls(), self.seed, stream),
            device=self.device, bf16=self.bf16, pad=int(self.corpus.manifest["special"]["pad"]),
            ranks=self.ranks,
        )  # fmt: skip

    def _source_point(self) -> dict[str, float]:
        """What the source cost: its finished point and nothing else."""
        source = finished.values(self.study.layout, record.digest(self.study.trained_part()), SOURCE, self.seed)
        return {key: source["points"][-1][key] for key in FREE}

    def execute(self) -> Path:
        """Train what is not trained yet and write the record."""
        self.train()
        return run_record.write(self.study, self.method, self.stages, self.journal, self.corpus.manifest)

    def train(self) -> Journal:
        """Train what is not trained yet and return the journal. A signal ends it at the next checkpoint, which it calls for."""
        with interrupt.deferred():
            return self._train()

    def _train(self) -> Journal:
        config = record.digest(self.study.trained_part())
        self.clock = Clock(self.ranks)
        self.state = RunState(self.name, self.folder.state, config, self.journal, self.stages)
        self.valid = self._validation()
        self.trainer = self.state.resume() or self._enter(0, None)
        for share, kind, what in self.course.events():
            if kind == "stage" and what > self.journal.at.stage:
                self._trunk(share)
                self.trainer = self._enter(int(what), self.trainer)
            elif kind == "point" and not self.journal.has(point_name(what)):
                self._trunk(share)
                self._finish(what)
        return self.journal

    def _validation(self) -> list[Batch]:
        windows = PackedSequences(self.corpus.valid, self.study.objective.length, self._cls(), 0)
        count, size = min(self.study.train.eval_sequences, windows.count), VALIDATION_BATCH
        if count < 1:
            raise GrowBenchError(
                f"{self.study.layout.corpus}/valid.bin: shorter than one sequence; give more validation text"
            )
        groups = [list(range(i, min(i + size, count))) for i in range(0, count - count % size or count, size)]
        return [self.objective.batch(windows.fetch(g), VALIDATION_SEED, i) for i, g in enumerate(groups)]

    def _cls(self) -> int:
        return int(self.corpus.manifest["special"]["cls"])

    def _enter(self, index: int, before: Trainer | None) -> Trainer:
        """Begin a stage and measure where it starts."""
        stage, at = self.course.plan.stages[index], self.journal.at
        at.stage, at.entered, at.began = index, at.step, at.spent
        trainer = self.stages.enter(index, before)
        trainer.entered = at.entered
        if stage.enter != "init":
            self.journal.ledger.add("grow", index, **self.clock.read())
        value = at.initial_loss = self._evaluate(trainer)
        self.journal.row("trunk", "", 0.0, None, value)
        log.info("%s stage %d %s: initial loss %.4f", self.name, index, stage.spec.short(), value)
        return trainer

    def _trunk(self, share: float) -> None:
        """Train until `share` of the largest budget is spent, or the stage's loss has become flat."""
        at, budget = self.journal.at, self.course.budget
        plan, cost = self.course.schedule(at.stage, at.began), self.trainer.cost.flops
        every, turn = max(cost, self._every() * budget), len(self.trainer.submodels)
        while (left := self.course.steps(share, at.spent, at.stage)) > 0 and not self._flat():
            due = every * (1 + (at.spent + turn * cost / 2) // every)
            until_eval = turn * max(1, round((due - at.spent) / cost / turn))
            self._steps("trunk", "", min(left, until_eval), partial(plan.lr_of_step, at.spent, cost))
            self.state.pause(self.trainer)

    def _every(self) -> float:
        """Share of the budget between validation losses: often enough to see a slope where the plan waits for one."""
        at, often = self.journal.at, self.study.train.eval_every
        stage = self.course.plan.stages[at.stage]
        return often if stage.slope is None else min(often, (stage.until - at.began / self.course.budget) / SLOPED)

    def _flat(self) -> bool:
        """Whether the loss of this stage has become as flat as the plan waits for."""
        slope = self.course.plan.stages[self.journal.at.stage].slope
        return slope is not None and flattened(*self.journal.losses(), slope)

    def _steps(self, phase: str, point: str, count: int, lr: Callable[[int], float]) -> None:
        """Take the steps of a segment, then measure the validation loss and add a row to the curve."""
        cost, at, segment = self.trainer.cost, self.journal.at, self.journal.segment
        while segment.done < count:
            self._run(count, lr)
            segment.passed(self.clock.read())
            if segment.done < count:
                self.state.pause(self.trainer)
        tokens, seconds = count * cost.tokens, segment.wall_seconds
        train = self.journal.spend(phase, cost)
        valid = self._evaluate(self.trainer) if phase == "trunk" else None
        self.journal.row(phase, point, lr(count - 1), train, valid)
        speed = tokens / max(seconds, 1e-9)
        left = (self.course.budget - at.spent) / cost.flops * cost.tokens / speed
        log.info(
            "%s %s step %d loss %.4f valid %s %.0f tokens/s %.3g FLOPs (%.0f %%) %.0f s left",
            self.name, f"{phase} {point}".strip(), at.step, train, f"{valid:.4f}" if valid else "-", speed, at.spent,
            100 * at.spent / self.course.budget, left,
        )  # fmt: skip

    def _run(self, count: int, lr: Callable[[int], float]) -> None:
        at = self.journal.at
        self.trainer.limit = DIVERGED * max(at.initial_loss or 0.0, math.log(int(self.corpus.manifest["vocab"])))
        try:
            self.trainer.run(at.step, count, lr, self.journal.segment, self._before(at.spent), self.state.due)
        except Diverged as error:
            raise self.state.diverged(str(error)) from error

    def _before(self, spent: float) -> Callable[[int], None]:
        """Return what is done before the i-th step from here: masks are lifted, the teacher is listened to less."""
        at, budget, trainer = self.journal.at, self.course.budget, self.trainer
        stage, cost = self.course.plan.stages[at.stage], trainer.cost.flops

        def before(i: int) -> None:
            now = spent + i * cost
            if trainer.masks is not None:
                trainer.masks.set(ramp(now / budget, at.began / budget, stage.mask))
            if trainer.teacher is not None:
                rest = (stage.until * budget - now) / (stage.until * budget - at.began)
                trainer.teacher.weight = stage.teacher * min(1.0, max(0.0, rest))

        return before

    def _evaluate(self, trainer: Trainer) -> float:
        value = evaluate(trainer, self.valid)
        if not math.isfinite(value):
            raise self.state.diverged(f"the validation loss is {value} at step {self.journal.at.step}")
        self.journal.ledger.add("eval", self.journal.at.stage, **self.clock.read())
        return value

    def _finish(self, fraction: float) -> None:
        """Cool a copy of the trunk down to LR 0, keep it as a finished point, and put the trunk back."""
        name, journal = point_name(fraction), self.journal
        at, budget = journal.at, self.course.budget
        self.state.leave(self.trainer)
        trunk = journal.position()
        steps = self.course.cooldown(fraction, at.spent, at.stage)
        if steps:
            top = self.course.schedule(at.stage, at.began).lr(at.spent, self.trainer.cost.flops)
            self._steps("cooldown", name, steps, partial(schedule.cooldown, top, steps))
        value = self._evaluate(self.trainer)
        journal.row("cooldown", name, 0.0, None, value)
        model = self.stages.finished(at.stage, self.trainer)
        if model is not None:
            checkpoint.save_model(self.folder.point(name), model)
        journal.finish(name, fraction, budget, value, self._tail(model))
        log.info("%s finished point %s: loss %.4f", self.name, name, value)
        journal.at = trunk
        self.state.put_back(self.trainer)

    def _tail(self, model: Any | None) -> float | None:
        """What a finished point uses of the width that its source does not have."""
        return None if model is None else tail_energy(self.family, model, self.source_spec.hidden)
