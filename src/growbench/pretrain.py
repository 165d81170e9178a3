"""growbench pretrain: run one method's plan for one seed, from data to finished points and a record.

The trunk trains at constant LR through the plan's stages. At each budget point a copy of it is cooled down to LR 0:
that is the finished point, and its cool-down counts towards its budget. A run that is interrupted goes on from its
last checkpoint when the same command is given again.
"""

import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch

from growbench import corpus, course, durable, families, finished, interrupt, lock, methods, record
from growbench.errors import GrowBenchError
from growbench.families import Family
from growbench.growth.masking import ramp
from growbench.memory import memory_kept
from growbench.methods import Method
from growbench.spec import SOURCE, ModelSpec
from growbench.stages import Stages, model_config, objective_of
from growbench.study import point_name
from growbench.train import checkpoint, ranks, schedule, shard
from growbench.train.data import Stream, Windows
from growbench.train.journal import FREE, Journal
from growbench.train.leg import Diverged
from growbench.train.loop import Clock, Trainer, evaluate
from growbench.train.objective import Batch
from growbench.train.ranks import Ranks
from growbench.train.slope import flattened

log = logging.getLogger(__name__)
SLOPED = 20  # evaluations of a stage that ends by the slope of its loss
TRUNK = "trunk/"  # the trunk's tensors in a checkpoint of a cool-down
IDENTITY = ("version", "config", "options", "plan")
VERSION = 2  # of a checkpoint's state
DIVERGED = 10.0  # times ignorance, or what its stage began with: no loss of a run that learns
VALIDATION_SEED, VALIDATION_BATCH = 7_654_321, 32


def run_name(method: str, seed: int) -> str:
    return f"{method}-s{seed}"


@memory_kept()
def run(study: Any, method: str, seed: int, lr: float | None = None) -> Path:
    """Train one run, with the other processes that torchrun started, if any, and return the path of its record. method may
    be `source`, the small model itself. lr: the peak LR that a search chose; None takes the config's.
    """
    with together(study, Path("results") / study.study / "runs" / run_name(method, seed)) as joined:
        return Run(study, method, seed, joined, lr).execute()


@contextmanager
def together(study: Any, folder: Path) -> Iterator[Ranks]:
    """Join the other processes, the first of which holds the lock of a folder while this lasts."""
    with (
        ranks.joined(study.optimizer.batch, study.train.accumulate) as joined,
        lock.held(folder / ".lock") if joined.first else nullcontext(),
    ):
        yield joined


class Run:
    """One method, one seed. A trial of a search has a folder of its own, and a share of the budget."""

    def __init__(
        self,
        study: Any,
        method: str,
        seed: int,
        together: Ranks,
        lr: float | None = None,
        folder: Path | None = None,
        share: float = 1.0,
    ) -> None:
        given = int(os.environ.get("SLURM_CPUS_PER_TASK", 0)) // together.count
        torch.set_num_threads(given or study.train.threads)
        self.ranks = together
        self.study, self.method, self.seed, self.name = study, method, seed, run_name(method, seed)
        self.root = Path("results") / study.study
        self.folder = folder or self.root / "runs" / self.name
        self.corpus = corpus.load(self.root / "corpus")
        vocab, special = int(self.corpus.manifest["vocab"]), self.corpus.manifest["special"]
        self.source_spec: ModelSpec = study.source_spec(vocab)
        self.chosen = None if method == SOURCE else study.method(method)
        raised = share * self._source_point()["flops"] if self.chosen and self.chosen.control else 0.0
        self.course = course.of(course.short(study, share), method, vocab=vocab, raised=raised).at(lr)
        self.family: Family = families.load(study.target.family)
        self.objective = objective_of(study, int(special["mask"]), vocab)
        self.device = ranks.device(study.train.device)
        self.bf16 = study.train.precision == "bf16" or (study.train.precision == "auto" and self.device.type == "cuda")
        self.stages = self._stages()
        self.trunk: dict[str, torch.Tensor] = {}  # while a finished point cools down, what the trunk goes on from
        self.journal = Journal(source=self._source_point() if self.chosen and self.chosen.needs_source else FREE)
        self.course.check_text(method, len(self.corpus.train))

    def _stages(self) -> Stages:
        stream: Stream = "source" if self.method == SOURCE else "target"
        return Stages(
            course=self.course, method=self.chosen, seed=self.seed, family=self.family, source_spec=self.source_spec,
            source_folder=self.root / "runs" / run_name(SOURCE, self.seed) / "points" / "p100",
            objective=self.objective,
            windows=Windows(self.corpus.train, self.study.objective.length, self._cls(), self.seed, stream),
            device=self.device, bf16=self.bf16, pad=int(self.corpus.manifest["special"]["pad"]),
            ranks=self.ranks,
        )  # fmt: skip

    def _source_point(self) -> dict[str, float]:
        """What the source cost: its finished point and nothing else."""
        source = finished.values(self.study, SOURCE, self.seed)
        return {key: source["points"][-1][key] for key in FREE}

    def execute(self) -> Path:
        """Train what is not trained yet and write the record."""
        self.train()
        return self._write_record()

    def train(self) -> Journal:
        """Train what is not trained yet and return the journal. A signal ends it at the next checkpoint, which it calls for."""
        with interrupt.deferred():
            return self._train()

    def _train(self) -> Journal:
        self.clock, self.saved, self.kept = Clock(self.ranks), time.monotonic(), "none yet"
        self.valid = self._validation()
        self.trainer = self._resume() or self._enter(0, None)
        for share, kind, what in self.course.events():
            if kind == "stage" and what > self.journal.at.stage:
                self._trunk(share)
                self.trainer = self._enter(int(what), self.trainer)
            elif kind == "point" and not self.journal.has(point_name(what)):
                self._trunk(share)
                self._finish(what)
        return self.journal

    def _validation(self) -> list[Batch]:
        windows = Windows(self.corpus.valid, self.study.objective.length, self._cls(), 0)
        count, size = min(self.study.train.eval_sequences, windows.count), VALIDATION_BATCH
        if count < 1:
            raise GrowBenchError(f"{self.root}/corpus/valid.bin: shorter than one sequence; give more validation text")
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
        every, turn = max(cost, self._every() * budget), len(self.trainer.parts)
        while (left := self.course.steps(share, at.spent, at.stage)) > 0 and not self._flat():
            due = every * (1 + (at.spent + turn * cost / 2) // every)
            until_eval = turn * max(1, round((due - at.spent) / cost / turn))
            self._steps("trunk", "", min(left, until_eval), partial(plan.lr_of_step, at.spent, cost))
            self._pause()

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
        """Take the steps of a leg, then measure the validation loss and add a row to the curve."""
        cost, at, leg = self.trainer.cost, self.journal.at, self.journal.leg
        while leg.done < count:
            self._run(count, lr)
            leg.passed(self.clock.read())
            if leg.done < count:
                self._pause()
        tokens, seconds = count * cost.tokens, leg.wall_seconds
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
            self.trainer.run(at.step, count, lr, self.journal.leg, self._before(at.spent), self._due)
        except Diverged as error:
            raise self._diverged(str(error)) from error

    def _diverged(self, what: str) -> Diverged:
        stage, kept = self.journal.at.stage, self.kept
        return Diverged(
            f"optimizer.lr: {self.name} diverged: {what}, stage {stage}; the last good checkpoint is {kept}; use a smaller LR"
        )

    def _due(self) -> bool:
        """Whether a checkpoint is due: a signal waits, or the last one is old."""
        return self.ranks.agree(
            interrupt.wanted() or time.monotonic() - self.saved > self.study.train.checkpoint_seconds
        )

    def _pause(self) -> None:
        """Keep a checkpoint where one is due, and end here if a signal asks for it."""
        if self._due():
            self._save()
            interrupt.check(self.ranks.agree(interrupt.wanted()))

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
            raise self._diverged(f"the validation loss is {value} at step {self.journal.at.step}")
        self.journal.ledger.add("eval", self.journal.at.stage, **self.clock.read())
        return value

    def _finish(self, fraction: float) -> None:
        """Cool a copy of the trunk down to LR 0, keep it as a finished point, and put the trunk back."""
        name, journal = point_name(fraction), self.journal
        at, budget = journal.at, self.course.budget
        if not self.trunk:
            self._save()
            self.trunk = checkpoint.snapshot(self.trainer.model, self.trainer.opt)
        trunk = journal.position()
        steps = self.course.cooldown(fraction, at.spent, at.stage)
        if steps:
            top = self.course.schedule(at.stage, at.began).lr(at.spent, self.trainer.cost.flops)
            self._steps("cooldown", name, steps, partial(schedule.cooldown, top, steps))
        value = self._evaluate(self.trainer)
        journal.row("cooldown", name, 0.0, None, value)
        model = self.stages.finished(at.stage, self.trainer)
        if model is not None:
            checkpoint.save_model(self.folder / "points" / name, model)
        journal.finish(name, fraction, budget, value)
        log.info("%s finished point %s: loss %.4f", self.name, name, value)
        journal.at = trunk
        checkpoint.restore(self.trainer.model, self.trainer.opt, self.trunk)
        self.trunk = {}
        self._save()
        interrupt.check(self.ranks.agree(interrupt.wanted()))

    def _state(self) -> dict[str, Any]:
        config = record.digest(self.study.trained_part())
        identity = {
            "version": VERSION,
            "config": config,
            "options": dict(self.course.options),
            "plan": self.course.plan.to_list(),
        }
        return {**identity, **self.journal.state()}

    def _save(self) -> None:
        """Write a checkpoint; every process must come here."""
        tensors = checkpoint.snapshot(self.trainer.model, self.trainer.opt)
        tensors |= {f"{TRUNK}{name}": tensor for name, tensor in self.trunk.items()}
        tensors = shard.gathered(tensors, keep=self.ranks.first)
        if self.ranks.first:
            if name := checkpoint.infinite(tensors):
                raise self._diverged(f"{name} is not finite after step {self._step() - 1}")
            state = {**self._state(), "model_config": model_config(self.trainer.model)}
            checkpoint.save_state(self.folder / "state", tensors, state)
        self.saved, self.kept = time.monotonic(), self._place()

    def _place(self) -> str:
        """Where the checkpoint lies and which step it is of."""
        return f"{self.folder / 'state'}, step {self._step()}"

    def _step(self) -> int:
        """Steps taken so far."""
        return self.journal.at.step + self.journal.leg.done

    def _resume(self) -> Trainer | None:
        """Go on from the last checkpoint of this very config, options and plan; from any other one the run starts anew."""
        found = self.ranks.in_turn(lambda: checkpoint.load_state(self.folder / "state"))
        own = self._state()
        if found is None:
            return None
        if other := [key for key in IDENTITY if found[1].get(key) != own[key]]:
            log.warning("%s: of another %s; the run starts anew", self.folder / "state", " and ".join(other))
            return None
        tensors, state = found
        self.journal.restore(state)
        stage = self.journal.at.stage
        trainer = self.stages.trainer(stage, self.stages.again(self.course.plan.stages[stage], state["model_config"]))
        trainer.entered = self.journal.at.entered
        checkpoint.restore(trainer.model, trainer.opt, tensors)
        self.trunk = {n.removeprefix(TRUNK): t for n, t in tensors.items() if n.startswith(TRUNK)}
        self.kept = self._place()
        log.info("%s goes on at step %d", self.name, self._step())
        return trainer

    def _write_record(self) -> Path:
        manifest, journal = self.corpus.manifest, self.journal
        path = self.root / "records" / "pretrain" / f"{self.name}.json"
        if not self.ranks.first:
            return path
        durable.write_text(path.with_suffix(".csv"), journal.curve_csv())
        record.write(
            path,
            {
                "kind": "pretrain", "version": 1, "study": self.study.study, "method": self.method, "seed": self.seed,
                "config_hash": record.digest(self.study.trained_part()), "method_hash": method_hash(self.chosen),
                "spec": self.course.plan.stages[-1].spec.to_dict(),
                "source_spec": self.source_spec.to_dict() if journal.source["flops"] else None,
                "options": self.course.options, "plan": self.course.plan.to_list(), "initial_loss": journal.at.initial_loss,
                "points": journal.points, "ledger": journal.full_ledger(),
                "unigram_entropy": manifest["unigram_entropy"], "entropy_floor": manifest["entropy_floor"],
                "provenance": record.provenance(torch.get_num_threads(), self.ranks.count),
            },
        )  # fmt: skip
        return path


def method_hash(method: Method | None) -> str:
    """The first 12 hex digits of a digest of the files that a method is made of; `source` for the source."""
    if method is None:
        return SOURCE
    return record.digest([durable.digest(path) for path in methods.files(method.name)])
