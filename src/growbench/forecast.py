"""growbench plan: what a study will do and cost, before anything is spent.

The steps are counted as the runner counts them, so that a run's ledger ends at the FLOPs and tokens printed here.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from growbench import families, flops, methods
from growbench.families import Family
from growbench.families._roles import Role
from growbench.plan import Plan, Stage
from growbench.stages import objective_of, stage_cost
from growbench.study import Study, point_name
from growbench.train import checkpoint
from growbench.train.data import Windows
from growbench.train.loop import Trainer
from growbench.train.part import Part

SOURCE = "source"
TIMED, WARMED = 4, 2  # steps of each kind that a timing takes, and those before it
SPECIAL = {"cls": 2, "mask": 4}  # ids that stand in for a vocabulary that is not there yet
BYTES = 4


@dataclass(frozen=True, slots=True)
class Entry:
    """`steps` equal steps of one stage. phase: trunk or cooldown; point: the finished point they lead to, if any."""

    phase: str
    stage: int
    point: str
    steps: int
    cost: flops.StepCost


def entries(study: Study, method: str) -> list[Entry]:
    """What one run of a method (or of the source) takes, in order; a copy of pretrain.Run's arithmetic, without torch's."""
    plan, budget = plan_of(study, method), budget_of(study, method)
    costs = [stage_cost(study, stage) for stage in plan.stages]
    fractions = (1.0,) if method == SOURCE else study.budget.points
    spent, number = 0.0, 0
    found: list[Entry] = []
    for share, kind, what in plan.events({f: study.budget.branch(f) for f in fractions}):
        cost, turn = costs[number], len(plan.stages[number].parts())
        steps = max(0, turn * round((share * budget - spent) / cost.flops / turn))
        found.append(Entry("trunk", number, "", steps, cost))
        spent += steps * cost.flops
        if kind == "stage":
            number = int(what)
        elif study.budget.protocol == "trunk":
            steps = round((what * budget - spent) / cost.flops)
            found.append(Entry("cooldown", number, point_name(what), max(0, steps), cost))
    return [entry for entry in found if entry.steps]


def plan_of(study: Study, method: str) -> Plan:
    """The stages of a method, or of the source."""
    if method == SOURCE:
        return Plan(stages=(Stage(spec=study.source_spec(study.corpus.vocab), until=1.0, enter="init"),))
    return study.plan(method)


def budget_of(study: Study, method: str) -> float:
    """FLOPs of the largest budget: that of scratch's steps, or of the source's own; a control's is raised by the latter."""
    spec = (study.source_spec if method == SOURCE else study.target_spec)(study.corpus.vocab)
    steps = study.source.steps if method == SOURCE else study.budget.steps
    raised = 0.0
    if method != SOURCE and methods.load(method).control:
        raised = sum(entry.steps * entry.cost.flops for entry in entries(study, SOURCE))
    return stage_cost(study, Stage(spec=spec, until=1.0, enter="init")).flops * steps + raised


def forecast(study: Study, *, timing: bool) -> list[dict[str, Any]]:
    """One mapping per method, the source first where a method needs it: stages and totals of one seed, and of all seeds."""
    family, clock = families.load(study.target.family), Stopwatch(study) if timing else None
    names = [SOURCE] if any(methods.load(name).reads_source for name in study.methods) else []
    return [_method(study, family, name, clock) for name in [*names, *study.methods]]


def _method(study: Study, family: Family, method: str, clock: "Stopwatch | None") -> dict[str, Any]:
    plan, all_entries = plan_of(study, method), entries(study, method)
    seconds = sum(e.steps * clock.step(plan.stages[e.stage]) for e in all_entries) if clock else None
    totals: dict[str, float] = {
        "flops": sum(e.steps * e.cost.flops for e in all_entries),
        "flops_electra": sum(e.steps * e.cost.flops_electra for e in all_entries),
        "tokens": sum(e.steps * e.cost.tokens for e in all_entries),
        "steps": sum(e.steps for e in all_entries),
    }
    phases = {
        phase: sum(e.steps * e.cost.flops for e in all_entries if e.phase == phase) for phase in ("trunk", "cooldown")
    }
    parameters = [Sizes.of(family, stage) for stage in plan.stages]
    points = 1 if method == SOURCE else len(study.budget.points)
    return {
        "method": method,
        "seeds": len(study.seeds),
        "stages": [
            {**values, "parameters": size.parameters, "learning": size.learning, "start": plan.start(number)}
            for number, (values, size) in enumerate(zip(plan.to_list(), parameters, strict=True))
        ],
        **totals,
        "phases": phases,
        "seconds": None if seconds is None else round(seconds, 1),
        "disk_bytes": BYTES * parameters[-1].parameters * (points + 2 * 3),
    }


@dataclass(frozen=True, slots=True)
class Sizes:
    """parameters: of a stage's model. learning: those that its steps change."""

    parameters: int
    learning: int

    @classmethod
    def of(cls, family: Family, stage: Stage) -> "Sizes":
        """Count on a model without storage; raise GrowBenchError where nothing learns."""
        model = family.build(family.config(stage.spec), seed=None)
        roles = family.roles(model.config)
        counts = {name: parameter.numel() for name, parameter in model.named_parameters()}
        tops = max(top for _, top in stage.parts())
        depths = [depth for depth, _ in stage.parts()]
        whole = min(depth - top for depth, top in stage.parts()) == 0
        lowest = min(depths) - tops if stage.block else stage.spec.layers - tops
        learning = sum(
            n for name, n in counts.items() if _learns(roles, name, lowest, whole, family.tied(model.config))
        )
        return cls(sum(counts.values()), learning)


def _learns(roles: Mapping[str, Role], name: str, lowest: int, whole: bool, tied: bool) -> bool:
    """Whether a parameter is changed: all of them, or those of the layers from `lowest` on and of what follows."""
    role, names = roles[name], list(roles)
    if role.layer is not None:
        return role.layer >= lowest
    last = max(i for i, n in enumerate(names) if roles[n].layer is not None)
    table = tied and "vocab" in {axis.space for axis in role.parts[0].axes}
    return whole or table or names.index(name) > last


class Stopwatch:
    """Seconds of one step of each kind of stage on this machine, measured once on random tokens."""

    def __init__(self, study: Study) -> None:
        self.study, self.known = study, dict[tuple[Any, ...], float]()
        torch.set_num_threads(study.train.threads)

    def step(self, stage: Stage) -> float:
        """Mean seconds of a step of this stage."""
        key = (stage.spec, stage.parts(), stage.pool)
        if key not in self.known:
            self.known[key] = self._measure(stage)
        return self.known[key]

    def _measure(self, stage: Stage) -> float:
        study, family = self.study, families.load(self.study.target.family)
        model = family.build(family.config(stage.spec, **family.dropout(study.train.dropout)))
        o, vocab = study.optimizer, study.corpus.vocab
        ids = np.random.default_rng(0).integers(min(10, vocab - 1), vocab, 200 * study.objective.length)
        windows = Windows(ids, study.objective.length, SPECIAL["cls"], 0)
        parts = tuple(Part(*part) for part in stage.parts())
        trainer = Trainer(
            family, model.train(), checkpoint.optimizer(model, lr=o.lr, betas=o.betas, weight_decay=o.weight_decay),
            objective_of(study, SPECIAL["mask"], vocab), windows, o.batch, 0, stage_cost(study, stage), o.clip, False,
            None, parts, stage.pool,
        )  # fmt: skip
        turns = len(parts)
        for i in range(WARMED * turns):
            trainer.step(i, 0.0)
        start = time.perf_counter()
        for i in range(TIMED * turns):
            trainer.step(i, 0.0)
        return (time.perf_counter() - start) / (TIMED * turns)


def lines(study: Study, rows: list[dict[str, Any]]) -> Iterator[str]:
    """The forecast for a person."""
    yield f"{study.study}: {len(study.seeds)} seed(s); largest budget {budget_of(study, 'scratch'):.4g} FLOPs a run"
    for row in rows:
        time_ = "" if row["seconds"] is None else f", {row['seconds']:.0f} s"
        yield (
            f"{row['method']}: {row['steps']} steps, {row['tokens'] / 1e6:.4g} M tokens, {row['flops']:.4g} FLOPs "
            f"({row['flops_electra']:.4g} in ELECTRA's convention; cool-downs {row['phases']['cooldown']:.3g}){time_}, "
            f"{row['disk_bytes'] / 1e6:.4g} MB, a seed"
        )
        for stage in row["stages"]:
            part = (
                f", top {stage['top']} learn"
                if stage["top"]
                else f", blocks of {stage['block']}"
                if stage["block"]
                else ""
            )
            part += f", embeddings pooled by {stage['pool']}" if stage["pool"] > 1 else ""
            yield (
                f"    {stage['start']:.4g} to {stage['until']:.4g}: ({stage['spec']['layers']}, {stage['spec']['hidden']}) "
                f"by {stage['enter']}{part}; {stage['learning'] / 1e6:.4g} of {stage['parameters'] / 1e6:.4g} M parameters "
                f"learn; optimizer {stage['optimizer']}, LR {stage['lr']}"
            )
    if all(row["seconds"] is not None for row in rows):
        total = sum(row["seconds"] * row["seeds"] for row in rows)
        yield f"all: {total / 60:.1f} core-minutes of training at {study.train.threads} thread(s) a run, on this machine"
