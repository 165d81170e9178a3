"""growbench pretrain: run one method's plan for one seed, from data to finished points and a record.

The trunk trains at constant LR through the plan's stages. At each budget point a copy of it is cooled down to LR 0:
that is the finished point, and its cool-down counts towards its budget. A run that is interrupted goes on from its
last checkpoint when the same command is given again.
"""

import csv
import io
import logging
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from growbench import corpus, families, flops, methods, record
from growbench.errors import GrowBenchError
from growbench.families import Family
from growbench.grow import grow_model
from growbench.plan import Plan, Stage
from growbench.spec import ModelSpec
from growbench.train import checkpoint, schedule
from growbench.train.data import Stream, Windows
from growbench.train.loop import Clock, Ledger, Trainer, evaluate
from growbench.train.objective import CausalLM, MaskedLM, Objective

log = logging.getLogger(__name__)
SOURCE = "source"
COLUMNS = (
    "step",
    "phase",
    "stage",
    "point",
    "flops",
    "flops_total",
    "tokens",
    "lr",
    "train_loss",
    "valid_loss",
    "wall_seconds",
)


def results(study: Any) -> Path:
    return Path("results") / study.study


def run_name(method: str, seed: int) -> str:
    return f"{method}-s{seed}"


def point_name(fraction: float) -> str:
    """Name of a finished point: its share of the largest budget in percent."""
    return f"p{round(100 * fraction)}"


def run(study: Any, method: str, seed: int) -> Path:
    """Train one run and return the path of its record. method may be `source`, the small model itself."""
    return Run(study, method, seed).execute()


@dataclass
class Position:
    """Where a run stands: everything that is not a tensor and must survive an interruption."""

    stage: int = 0
    step: int = 0
    spent: float = 0.0
    spent_electra: float = 0.0
    tokens: int = 0
    wall: float = 0.0
    initial_loss: float | None = None


class Run:
    """One method, one seed."""

    def __init__(self, study: Any, method: str, seed: int) -> None:
        torch.set_num_threads(int(os.environ.get("SLURM_CPUS_PER_TASK", study.train.threads)))
        self.study, self.method, self.seed = study, method, seed
        self.root = results(study)
        self.folder = self.root / "runs" / run_name(method, seed)
        self.record_path = self.root / "records" / "pretrain" / f"{run_name(method, seed)}.json"
        self.corpus = corpus.load(self.root / "corpus")
        manifest = self.corpus.manifest
        self.vocab = int(manifest["vocab"])
        self.source_spec = study.source_spec(self.vocab)
        self.target_spec: ModelSpec = self.source_spec if method == SOURCE else study.target_spec(self.vocab)
        self.family: Family = families.load(self.target_spec.family)
        self.objective = objective_of(study, manifest)
        self.plan, self.options = self._plan()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.bf16 = study.train.precision == "bf16" or (study.train.precision == "auto" and self.device.type == "cuda")
        self.full_cost = self._cost(study.target_spec(self.vocab))
        self.budget = (
            self._cost(self.source_spec).flops * study.source.steps
            if method == SOURCE
            else (self.full_cost.flops * study.budget.steps)
        )
        self.points = (
            (1.0,)
            if method == SOURCE
            else tuple(p for p in study.budget.points if self._branch(p) >= self.plan.last_growth)
        )
        self.ledger = Ledger()
        self.at = Position()
        self.done: list[dict[str, Any]] = []
        self.curve: list[dict[str, Any]] = []
        self.source_cost = self._source_cost()
        self._check_text()

    def _plan(self) -> tuple[Plan, dict[str, Any]]:
        if self.method == SOURCE:
            return Plan(stages=(Stage(spec=self.source_spec, until=1.0, enter="init"),)), {
                "lr": self.study.optimizer.source_lr
            }
        chosen = methods.load(self.method)
        options = chosen.check_options(self.study.methods.get(self.method))
        return chosen.plan(self.source_spec, self.target_spec, options), options

    def _cost(self, spec: ModelSpec) -> flops.StepCost:
        length = self.study.objective.length
        return flops.step(
            spec,
            self.family,
            batch=self.study.optimizer.batch,
            length=length,
            positions=self.objective.positions(length),
        )

    def _branch(self, fraction: float) -> float:
        """Share of the largest budget at which the cool-down to a point begins."""
        return fraction if self.study.budget.protocol == "paper" else fraction * (1 - self.study.budget.cooldown)

    def _source_cost(self) -> dict[str, float]:
        """What the source cost: its finished point and nothing else; zero for methods that need none."""
        if self.method == SOURCE or not methods.load(self.method).needs_source:
            return {"flops": 0.0, "flops_electra": 0.0, "tokens": 0, "wall_seconds": 0.0}
        source = record.read(self.root / "records" / "pretrain" / f"{run_name(SOURCE, self.seed)}.json")
        point = source["points"][-1]
        return {key: point[key] for key in ("flops", "flops_electra", "tokens", "wall_seconds")}

    def _check_text(self) -> None:
        """Refuse to read text twice unless the config allows it."""
        rows = self._rows_needed()
        windows = len(self.corpus.train) // (self.study.objective.length - 1)
        if rows > windows and not self.study.data.repeat:
            raise GrowBenchError(
                f"data.repeat: {self.method} reads {rows} sequences, the corpus has {windows}; "
                "give more text, a smaller budget, or set data.repeat: true"
            )

    def _rows_needed(self) -> int:
        rows, start = 0.0, 0.0
        for stage in self.plan.stages:
            rows += (stage.until - start) * self.budget / self._cost(stage.spec).flops * self.study.optimizer.batch
            start = stage.until
        return round(rows)

    def execute(self) -> Path:
        """Train what is not trained yet and write the record."""
        self.clock, self.saved = Clock(), time.monotonic()
        self.valid = self._validation()
        self.trainer = self._resume() or self._enter(0, None)
        events = sorted(
            [(self._branch(p), 1, p) for p in self.points]
            + [(s.until, 0, i) for i, s in enumerate(self.plan.stages[:-1])]
        )
        for share, kind, what in events:
            if kind == 0:
                if what < self.at.stage:
                    continue
                self._trunk(share)
                self.trainer = self._enter(int(what) + 1, self.trainer)
            elif point_name(what) not in [p["point"] for p in self.done]:
                self._trunk(share)
                self._save()
                self._finish(what)
        return self._write_record()

    def _validation(self) -> list[Any]:
        length, batch = self.study.objective.length, 32
        windows = Windows(self.corpus.valid, length, self._cls(), 0)
        count = min(self.study.train.eval_sequences, windows.count)
        if count < 1:
            raise GrowBenchError(f"{self.root}/corpus/valid.bin: shorter than one sequence; give more validation text")
        groups = [list(range(i, min(i + batch, count))) for i in range(0, count - count % batch or count, batch)]
        return [self.objective.batch(windows.fetch(g), 7_654_321, i) for i, g in enumerate(groups)]

    def _cls(self) -> int:
        return int(self.corpus.manifest["special"]["cls"])

    def _enter(self, index: int, before: Trainer | None) -> Trainer:
        """Begin a stage: a random start, a growth of the source, or a growth of the stage before."""
        stage = self.plan.stages[index]
        settings = {"initializer_range": self.study.train.init_std}
        if stage.enter == "init":
            config = self.family.config(stage.spec, None, **settings, **dropout(self.study.train.dropout))
            model = self.family.build(config, seed=self.seed)
        else:
            start = before.model.cpu() if before is not None else self._load_source()
            model = grow_model(start, self.family, stage.spec, methods.load(self.method), self.options, seed=self.seed)
        self.at.stage = index
        if stage.enter != "init":
            self.ledger.add("grow", index, **self.clock.read())
        trainer = self._trainer(model, stage)
        self.at.initial_loss = self._evaluate(trainer)
        self._row("trunk", "", 0.0, None, self.at.initial_loss)
        log.info("%s stage %d %s: initial loss %.4f", self.method, index, stage.spec.short(), self.at.initial_loss)
        return trainer

    def _load_source(self) -> Any:
        folder = self.root / "runs" / run_name(SOURCE, self.seed) / "points" / "p100"
        if not (folder / "config.json").exists():
            raise GrowBenchError(
                f"{folder}: the source model is not there; run `growbench pretrain --method source` first"
            )
        return self.family.model_class().from_pretrained(folder)

    def _trainer(self, model: Any, stage: Stage) -> Trainer:
        o = self.study.optimizer
        model = model.to(self.device).train()
        if self.study.train.compile:
            model.compile()
        opt = checkpoint.optimizer(model, lr=o.lr, betas=tuple(o.betas), weight_decay=o.weight_decay)
        stream: Stream = "source" if self.method == SOURCE else "target"
        windows = Windows(self.corpus.train, self.study.objective.length, self._cls(), self.seed, stream)
        return Trainer(
            self.family,
            model,
            opt,
            self.objective,
            windows,
            o.batch,
            self.seed,
            self._cost(stage.spec),
            o.clip,
            self.bf16,
        )

    def _schedule(self) -> schedule.Schedule:
        o, b = self.study.optimizer, self.study.budget
        peak = self.options.get("lr") or o.lr
        return schedule.Schedule(peak, o.warmup * self.budget, self.budget, b.protocol)

    def _trunk(self, share: float) -> None:
        """Train until `share` of the largest budget is spent."""
        plan_lr, cost = self._schedule(), self.trainer.cost
        every = max(cost.flops, self.study.train.eval_every * self.budget)
        while (left := round((share * self.budget - self.at.spent) / cost.flops)) > 0:
            until_eval = max(1, round((every - self.at.spent % every) / cost.flops))
            spent = self.at.spent
            count = min(left, until_eval)
            self._steps("trunk", "", count, lambda i, spent=spent: plan_lr.lr(spent + i * cost.flops, cost.flops))
            if time.monotonic() - self.saved > self.study.train.checkpoint_seconds:
                self._save()

    def _steps(self, phase: str, point: str, count: int, lr: Any) -> None:
        """Take steps, then measure the validation loss and add a row to the curve."""
        cost, losses = self.trainer.cost, []

        def after(steps: int, mean: float) -> None:
            losses.append((steps, mean))

        self.trainer.run(self.at.step, count, lr, after)
        passed = self.clock.read()
        self._spend(phase, cost, count, passed)
        train = sum(n * v for n, v in losses) / count
        valid = self._evaluate(self.trainer) if phase == "trunk" else None
        self._row(phase, point, lr(count - 1), train, valid)
        speed = count * cost.tokens / max(passed["wall_seconds"], 1e-9)
        left = (self.budget - self.at.spent) / cost.flops * cost.tokens / speed
        log.info(
            "%s-s%d %s%s step %d loss %.4f valid %s %.0f tokens/s %.3g FLOPs (%.0f %%) %.0f s left",
            self.method,
            self.seed,
            phase,
            " " + point if point else "",
            self.at.step,
            train,
            f"{valid:.4f}" if valid else "-",
            speed,
            self.at.spent,
            100 * self.at.spent / self.budget,
            left,
        )

    def _spend(self, phase: str, cost: flops.StepCost, count: int, passed: dict[str, float]) -> None:
        a = self.at
        a.step, a.tokens, a.wall = a.step + count, a.tokens + count * cost.tokens, a.wall + passed["wall_seconds"]
        a.spent, a.spent_electra = a.spent + count * cost.flops, a.spent_electra + count * cost.flops_electra
        self.ledger.add(
            phase,
            a.stage,
            flops=count * cost.flops,
            flops_electra=count * cost.flops_electra,
            tokens=count * cost.tokens,
            steps=count,
            **passed,
        )

    def _evaluate(self, trainer: Trainer) -> float:
        value = evaluate(self.family, trainer.model, self.valid, self.bf16)
        self.ledger.add("eval", self.at.stage, **self.clock.read())
        return value

    def _row(self, phase: str, point: str, lr: float, train: float | None, valid: float | None) -> None:
        a = self.at
        values = (
            a.step,
            phase,
            a.stage,
            point,
            a.spent,
            a.spent + self.source_cost["flops"],
            a.tokens,
            lr,
            train,
            valid,
            round(a.wall, 3),
        )
        self.curve.append({k: "" if v is None else v for k, v in zip(COLUMNS, values, strict=True)})

    def _finish(self, fraction: float) -> None:
        """Cool a copy of the trunk down to LR 0, keep it as a finished point, and put the trunk back."""
        name, trunk = point_name(fraction), Position(**asdict(self.at))
        kept = checkpoint.snapshot(self.trainer.model, self.trainer.opt)
        steps = round((fraction * self.budget - self.at.spent) / self.trainer.cost.flops)
        if steps > 0 and self.study.budget.protocol == "trunk":
            top = self._schedule().lr(self.at.spent, self.trainer.cost.flops)
            self._steps("cooldown", name, steps, lambda i: schedule.cooldown(top, i, steps))
        value, a, extra = self._evaluate(self.trainer), self.at, self.source_cost
        self._row("cooldown", name, 0.0, None, value)
        checkpoint.save_model(self.folder / "points" / name, self.trainer.model)
        self.done.append(
            {
                "point": name, "fraction": fraction, "budget_flops": fraction * self.budget, "loss": value, "flops": a.spent,
                "flops_total": a.spent + extra["flops"], "flops_electra": a.spent_electra,
                "flops_total_electra": a.spent_electra + extra["flops_electra"], "steps": a.step, "tokens": a.tokens,
                "wall_seconds": round(a.wall, 3),
            }
        )  # fmt: skip
        log.info("%s-s%d finished point %s: loss %.4f", self.method, self.seed, name, value)
        self.at = trunk
        checkpoint.restore(self.trainer.model, self.trainer.opt, kept)
        self._save()

    def _state(self) -> dict[str, Any]:
        return {
            "config": record.digest(self.study.trained_part()), "options": self.options, "at": asdict(self.at),
            "done": self.done, "curve": self.curve, "ledger": self.ledger.entries,
        }  # fmt: skip

    def _save(self) -> None:
        checkpoint.save_state(
            self.folder / "state", checkpoint.snapshot(self.trainer.model, self.trainer.opt), self._state()
        )
        self.saved = time.monotonic()

    def _resume(self) -> Trainer | None:
        """Go on from the last checkpoint of this very config; one of another config is refused by starting anew."""
        found = checkpoint.load_state(self.folder / "state")
        if found is None or found[1]["config"] != self._state()["config"] or found[1]["options"] != self.options:
            return None
        tensors, state = found
        self.at, self.done, self.curve = Position(**state["at"]), state["done"], state["curve"]
        self.ledger.entries = state["ledger"]
        stage = self.plan.stages[self.at.stage]
        config = self.family.config(
            stage.spec, None, initializer_range=self.study.train.init_std, **dropout(self.study.train.dropout)
        )
        trainer = self._trainer(self.family.build(config, seed=self.seed), stage)
        checkpoint.restore(trainer.model, trainer.opt, tensors)
        log.info("%s-s%d goes on at step %d", self.method, self.seed, self.at.step)
        return trainer

    def _write_record(self) -> Path:
        manifest, needs = self.corpus.manifest, self.source_cost["flops"] > 0
        source = [
            {"phase": "source", "stage": -1, "steps": 0, "cpu_seconds": 0, "peak_memory_mb": 0, **self.source_cost}
        ]
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.curve)
        record.write_text(self.record_path.with_suffix(".csv"), text.getvalue())
        record.write(
            self.record_path,
            {
                "kind": "pretrain", "version": 1, "study": self.study.study, "method": self.method, "seed": self.seed,
                "config_hash": record.digest(self.study.trained_part()),
                "method_hash": self._method_hash(), "spec": self.target_spec.to_dict(),
                "source_spec": self.source_spec.to_dict() if needs else None, "options": self.options,
                "plan": self.plan.to_list(), "initial_loss": self.at.initial_loss, "points": self.done,
                "ledger": (source if needs else []) + self.ledger.entries, "unigram_entropy": manifest["unigram_entropy"],
                "entropy_floor": manifest["entropy_floor"], "provenance": record.provenance(torch.get_num_threads()),
            },
        )  # fmt: skip
        return self.record_path

    def _method_hash(self) -> str:
        if self.method == SOURCE:
            return "source"
        return record.file_digest(Path(methods.__file__).parent / f"{self.method}.py")[:12]


def objective_of(study: Any, manifest: dict[str, Any]) -> Objective:
    """The study's objective over this corpus's vocabulary."""
    if study.objective.kind == "clm":
        return CausalLM()
    return MaskedLM(study.objective.mask_rate, int(manifest["special"]["mask"]), int(manifest["vocab"]))


def dropout(rate: float) -> dict[str, float]:
    return {"hidden_dropout_prob": rate, "attention_probs_dropout_prob": rate}
