"""growbench pretrain: run one method's plan for one seed, from data to finished points and a record.

The trunk trains at constant LR through the plan's stages. At each budget point a copy of it is cooled down to LR 0:
that is the finished point, and its cool-down counts towards its budget. A run that is interrupted goes on from its
last checkpoint when the same command is given again.
"""

import logging
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from growbench import corpus, families, methods, record
from growbench.errors import GrowBenchError
from growbench.families import Family
from growbench.growth.masking import ramp
from growbench.plan import Plan, Stage
from growbench.spec import ModelSpec
from growbench.stages import Stages, objective_of
from growbench.study import point_name
from growbench.train import checkpoint, schedule
from growbench.train.data import Stream, Windows
from growbench.train.journal import FREE, Journal
from growbench.train.loop import Clock, Trainer, evaluate
from growbench.train.objective import Batch

log = logging.getLogger(__name__)
SOURCE = "source"
VALIDATION_SEED, VALIDATION_BATCH = 7_654_321, 32


def run_name(method: str, seed: int) -> str:
    return f"{method}-s{seed}"


def run(study: Any, method: str, seed: int) -> Path:
    """Train one run and return the path of its record. method may be `source`, the small model itself."""
    return Run(study, method, seed).execute()


class Run:
    """One method, one seed."""

    def __init__(self, study: Any, method: str, seed: int) -> None:
        torch.set_num_threads(int(os.environ.get("SLURM_CPUS_PER_TASK", study.train.threads)))
        self.study, self.method, self.seed, self.name = study, method, seed, run_name(method, seed)
        self.root = Path("results") / study.study
        self.folder = self.root / "runs" / self.name
        self.corpus = corpus.load(self.root / "corpus")
        vocab = int(self.corpus.manifest["vocab"])
        self.objective = objective_of(study, int(self.corpus.manifest["special"]["mask"]), vocab)
        self.source_spec: ModelSpec = study.source_spec(vocab)
        self.target_spec: ModelSpec = self.source_spec if method == SOURCE else study.target_spec(vocab)
        self.family: Family = families.load(self.target_spec.family)
        self.plan, self.options = self._plan()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.bf16 = study.train.precision == "bf16" or (study.train.precision == "auto" and self.device.type == "cuda")
        self.stages = self._stages()
        steps = study.source.steps if method == SOURCE else study.budget.steps
        self.budget = self.stages.cost(self._whole()).flops * steps + self._raised()
        points = (1.0,) if method == SOURCE else study.budget.points
        self.points = tuple(p for p in points if self._branch(p) >= self.plan.last_growth)
        self.journal = Journal(source=self._source_cost())
        self._check_text()

    def _stages(self) -> Stages:
        stream: Stream = "source" if self.method == SOURCE else "target"
        return Stages(
            study=self.study, plan=self.plan, method=self.method, options=self.options, seed=self.seed,
            family=self.family, source_spec=self.source_spec,
            source_folder=self.root / "runs" / run_name(SOURCE, self.seed) / "points" / "p100",
            objective=self.objective,
            windows=Windows(self.corpus.train, self.study.objective.length, self._cls(), self.seed, stream),
            device=self.device, bf16=self.bf16, pad=int(self.corpus.manifest["special"]["pad"]),
        )  # fmt: skip

    def _plan(self) -> tuple[Plan, dict[str, Any]]:
        if self.method == SOURCE:
            stage = Stage(spec=self.source_spec, until=1.0, enter="init")
            return Plan(stages=(stage,)), {"lr": self.study.optimizer.source_lr}
        chosen = methods.load(self.method)
        options = chosen.check_options(self.study.methods.get(self.method))
        return chosen.plan(self.source_spec, self.target_spec, options), options

    def _whole(self) -> Stage:
        """Training the target as a whole, whose steps the budget is given in."""
        return Stage(spec=self.target_spec, until=1.0, enter="init")

    def _branch(self, fraction: float) -> float:
        """Share of the largest budget at which the cool-down to a point begins."""
        return fraction if self.study.budget.protocol == "paper" else fraction * (1 - self.study.budget.cooldown)

    def _source_cost(self) -> dict[str, float]:
        """What the source cost: its finished point and nothing else."""
        if self.method == SOURCE or not methods.load(self.method).needs_source:
            return FREE
        return self._source_point()

    def _source_point(self) -> dict[str, float]:
        source = record.read(self.root / "records" / "pretrain" / f"{run_name(SOURCE, self.seed)}.json")
        return {key: source["points"][-1][key] for key in FREE}

    def _raised(self) -> float:
        """FLOPs that a control may spend beyond the largest budget: what the source cost."""
        control = self.method != SOURCE and methods.load(self.method).control
        return self._source_point()["flops"] if control else 0.0

    def _check_text(self) -> None:
        """Refuse to read text twice unless the config allows it."""
        rows, start = 0.0, 0.0
        for stage in self.plan.stages:
            rows += (stage.until - start) * self.budget / self.stages.cost(stage).flops * self.study.optimizer.batch
            start = stage.until
        windows = len(self.corpus.train) // (self.study.objective.length - 1)
        if round(rows) > windows and not self.study.data.repeat:
            raise GrowBenchError(
                f"data.repeat: {self.method} reads {round(rows)} sequences, the corpus has {windows}; "
                "give more text, a smaller budget, or set data.repeat: true"
            )

    def execute(self) -> Path:
        """Train what is not trained yet and write the record."""
        self.clock, self.saved = Clock(), time.monotonic()
        self.valid = self._validation()
        self.trainer = self._resume() or self._enter(0, None)
        for share, kind, what in self.plan.events({point: self._branch(point) for point in self.points}):
            if kind == "stage" and what > self.journal.at.stage:
                self._trunk(share)
                self.trainer = self._enter(int(what), self.trainer)
            elif kind == "point" and not self.journal.has(point_name(what)):
                self._trunk(share)
                self._save()
                self._finish(what)
        return self._write_record()

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
        stage = self.plan.stages[index]
        self.journal.at.stage, self.journal.at.entered = index, self.journal.at.step
        trainer = self.stages.enter(index, before)
        trainer.entered = self.journal.at.entered
        if stage.enter != "init":
            self.journal.ledger.add("grow", index, **self.clock.read())
        value = self.journal.at.initial_loss = self._evaluate(trainer)
        self.journal.row("trunk", "", 0.0, None, value)
        log.info("%s stage %d %s: initial loss %.4f", self.name, index, stage.spec.short(), value)
        return trainer

    def _schedule(self) -> schedule.Schedule:
        o, b = self.study.optimizer, self.study.budget
        return schedule.Schedule(self.options.get("lr") or o.lr, o.warmup * self.budget, self.budget, b.protocol)

    def _trunk(self, share: float) -> None:
        """Train until `share` of the largest budget is spent."""
        plan, cost, at = self._schedule(), self.trainer.cost.flops, self.journal.at
        every, turn = max(cost, self.study.train.eval_every * self.budget), len(self.trainer.parts)
        while (left := turn * round((share * self.budget - at.spent) / cost / turn)) > 0:
            until_eval = turn * max(1, round((every - at.spent % every) / cost / turn))
            self._steps("trunk", "", min(left, until_eval), partial(plan.lr_of_step, at.spent, cost))
            if time.monotonic() - self.saved > self.study.train.checkpoint_seconds:
                self._save()

    def _steps(self, phase: str, point: str, count: int, lr: Callable[[int], float]) -> None:
        """Take steps, then measure the validation loss and add a row to the curve."""
        cost, at = self.trainer.cost, self.journal.at
        losses: list[tuple[int, float]] = []
        self.trainer.run(at.step, count, lr, lambda steps, mean: losses.append((steps, mean)), self._mask(at.spent))
        passed = self.clock.read()
        self.journal.spend(phase, cost, count, passed)
        train = sum(n * v for n, v in losses) / count
        valid = self._evaluate(self.trainer) if phase == "trunk" else None
        self.journal.row(phase, point, lr(count - 1), train, valid)
        speed = count * cost.tokens / max(passed["wall_seconds"], 1e-9)
        left = (self.budget - at.spent) / cost.flops * cost.tokens / speed
        log.info(
            "%s %s step %d loss %.4f valid %s %.0f tokens/s %.3g FLOPs (%.0f %%) %.0f s left",
            self.name, f"{phase} {point}".strip(), at.step, train, f"{valid:.4f}" if valid else "-", speed, at.spent,
            100 * at.spent / self.budget, left,
        )  # fmt: skip

    def _mask(self, spent: float) -> Callable[[int], float]:
        """Return the share of what growth added that is seen at the i-th step from here."""
        stage, index = self.plan.stages[self.journal.at.stage], self.journal.at.stage
        cost, start = self.trainer.cost.flops / self.budget, self.plan.start(index)
        return lambda i: ramp(spent / self.budget + i * cost, start, stage.mask)

    def _evaluate(self, trainer: Trainer) -> float:
        value = evaluate(self.family, trainer.model, self.valid, self.bf16)
        self.journal.ledger.add("eval", self.journal.at.stage, **self.clock.read())
        return value

    def _finish(self, fraction: float) -> None:
        """Cool a copy of the trunk down to LR 0, keep it as a finished point, and put the trunk back."""
        name, journal, cost = point_name(fraction), self.journal, self.trainer.cost.flops
        trunk, kept = journal.position(), checkpoint.snapshot(self.trainer.model, self.trainer.opt)
        steps = round((fraction * self.budget - journal.at.spent) / cost)
        if steps > 0 and self.study.budget.protocol == "trunk":
            top = self._schedule().lr(journal.at.spent, cost)
            self._steps("cooldown", name, steps, partial(schedule.cooldown, top, steps))
        value = self._evaluate(self.trainer)
        journal.row("cooldown", name, 0.0, None, value)
        checkpoint.save_model(self.folder / "points" / name, self.trainer.model)
        journal.finish(name, fraction, self.budget, value)
        log.info("%s finished point %s: loss %.4f", self.name, name, value)
        journal.at = trunk
        checkpoint.restore(self.trainer.model, self.trainer.opt, kept)
        self._save()

    def _state(self) -> dict[str, Any]:
        config = record.digest(self.study.trained_part())
        return {"config": config, "options": self.options, **self.journal.state()}

    def _save(self) -> None:
        tensors = checkpoint.snapshot(self.trainer.model, self.trainer.opt)
        checkpoint.save_state(self.folder / "state", tensors, self._state())
        self.saved = time.monotonic()

    def _resume(self) -> Trainer | None:
        """Go on from the last checkpoint of this very config and options; from any other one the run starts anew."""
        found = checkpoint.load_state(self.folder / "state")
        own = self._state()
        if found is None or any(found[1][key] != own[key] for key in ("config", "options")):
            return None
        tensors, state = found
        self.journal.restore(state)
        stage = self.journal.at.stage
        trainer = self.stages.trainer(stage, self.stages.random(self.plan.stages[stage].spec))
        trainer.entered = self.journal.at.entered
        checkpoint.restore(trainer.model, trainer.opt, tensors)
        log.info("%s goes on at step %d", self.name, self.journal.at.step)
        return trainer

    def _write_record(self) -> Path:
        manifest, journal = self.corpus.manifest, self.journal
        path = self.root / "records" / "pretrain" / f"{self.name}.json"
        record.write_text(path.with_suffix(".csv"), journal.curve_csv())
        record.write(
            path,
            {
                "kind": "pretrain", "version": 1, "study": self.study.study, "method": self.method, "seed": self.seed,
                "config_hash": record.digest(self.study.trained_part()), "method_hash": method_hash(self.method),
                "spec": self.plan.stages[-1].spec.to_dict(),
                "source_spec": self.source_spec.to_dict() if journal.source["flops"] else None,
                "options": self.options, "plan": self.plan.to_list(), "initial_loss": journal.at.initial_loss,
                "points": journal.points, "ledger": journal.full_ledger(),
                "unigram_entropy": manifest["unigram_entropy"], "entropy_floor": manifest["entropy_floor"],
                "provenance": record.provenance(torch.get_num_threads()),
            },
        )  # fmt: skip
        return path


def method_hash(method: str) -> str:
    """The first 12 hex digits of a digest of the files that a method is made of; `source` for the source."""
    if method == SOURCE:
        return SOURCE
    return record.digest([record.file_digest(path) for path in methods.files(method)])
