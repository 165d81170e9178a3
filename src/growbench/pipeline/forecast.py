"""growbench plan: what a study will do and cost, before anything is spent.

The steps are the runner's own (timeline.py), so that a run's ledger ends at the FLOPs and tokens printed here.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch

from growbench import families
from growbench.families import Family
from growbench.families._roles import Role
from growbench.pipeline.corpus.pack import dtype_of
from growbench.pipeline.pretrain.stages import objective_of
from growbench.plan.flops import StepCost
from growbench.plan.plan import Stage
from growbench.spec import SOURCE
from growbench.study import timeline
from growbench.study.study import Study
from growbench.study.timeline import Entry
from growbench.train import checkpoint
from growbench.train.data import Windows
from growbench.train.loop import Trainer
from growbench.train.variants.part import Part
from growbench.train.variants.teacher import Teacher
from growbench.train.variants.thin import Thin, thin

TIMED, WARMED = 4, 2  # steps of each kind that a timing takes, and those before it
SPECIAL = {"cls": 2, "mask": 4}  # ids that stand in for a vocabulary that is not there yet
BYTES = (4, 8)  # of a parameter in float32 and in float64
KEPT = 3 * 3 * 2  # of two checkpoints and one being written: weights and two moments, of a trunk and its cool-down
SPEED = 1.5e14  # FLOP/s that a GPU is assumed to keep up: about half of an A100's peak in bf16
DAY = 86_400.0


def forecast(study: Study, *, timing: bool) -> list[dict[str, Any]]:
    """One mapping per method, the source first where a method needs it: stages and totals of one seed, and of all seeds."""
    family, clock = families.load(study.target.family), Stopwatch(study) if timing else None
    names = sorted(study.trained(), key=lambda name: name != SOURCE)
    return [_method(study, family, name, clock) for name in names]


def _method(study: Study, family: Family, method: str, clock: "Stopwatch | None") -> dict[str, Any]:
    run = timeline.of(study, method)
    stages, entries = run.plan.stages, run.entries()
    seconds = sum(e.steps * clock.step(stages[e.stage], run.costs[e.stage]) for e in entries) if clock else None
    sizes = [Sizes.of(family, stage) for stage in stages]
    return {
        "method": method,
        "seeds": list(study.seeds),
        "plan": run.plan.to_list(),
        "points": list(run.points),
        "stages": [
            {"start": run.plan.start(i), **asdict(size), **_sums(entries, stage=i)} for i, size in enumerate(sizes)
        ],
        **_sums(entries),
        "phases": {phase: _sums(entries, phase=phase) for phase in ("trunk", "cooldown")},
        "search_flops": _search(study, method),
        "seconds": None if seconds is None else round(seconds, 1),
        "disk_bytes": BYTES[study.train.precision == "float64"] * sizes[-1].parameters * (len(run.points) + KEPT),
    }


def _search(study: Study, method: str) -> float:
    """FLOPs of all trials of the search for a method's LR; 0 where the study does not search it."""
    if not study.searched(method):
        return 0.0
    trial = timeline.of(timeline.short(study, study.search.share), method)
    return len(study.search.lrs) * _sums(trial.entries())["flops"]


def _sums(entries: Sequence[Entry], **which: Any) -> dict[str, float]:
    """FLOPs in both conventions, tokens and steps of the entries of one phase or stage."""
    chosen = [e for e in entries if all(getattr(e, key) == value for key, value in which.items())]
    amounts = {key: sum(e.steps * getattr(e.cost, key) for e in chosen) for key in ("flops", "flops_electra", "tokens")}
    return {**amounts, "steps": sum(e.steps for e in chosen)}


@dataclass(frozen=True, slots=True)
class Sizes:
    """parameters: of a stage's model. learning: those that its steps change."""

    parameters: int
    learning: int

    @classmethod
    def of(cls, family: Family, stage: Stage) -> "Sizes":
        """Count on a model without storage; raise GrowBenchError where nothing learns."""
        model = thin(family, family.build(family.config(stage.spec), seed=None), Thin(*stage.thin))
        total = sum(parameter.numel() for parameter in model.parameters())
        if stage.thin != (None, False):
            return cls(total, total)
        roles = family.roles(model.config)
        counts = {name: parameter.numel() for name, parameter in model.named_parameters()}
        tops = max(top for _, top in stage.submodels())
        depths = [depth for depth, _ in stage.submodels()]
        whole = min(depth - top for depth, top in stage.submodels()) == 0
        lowest = min(depths) - tops if stage.block else stage.spec.layers - tops
        learning = sum(
            n for name, n in counts.items() if _learns(roles, name, lowest, whole, family.tied(model.config))
        )
        return cls(total, learning)


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

    def step(self, stage: Stage, cost: StepCost) -> float:
        """Mean seconds of a step of this stage."""
        key = (stage.spec, stage.submodels(), stage.pool, stage.cut, stage.thin, stage.teacher > 0)
        if key not in self.known:
            self.known[key] = self._measure(stage, cost)
        return self.known[key]

    def _measure(self, stage: Stage, cost: StepCost) -> float:
        study, family = self.study, families.load(self.study.target.family)
        o, vocab = study.optimizer, study.corpus.vocab
        model = family.build(family.config(stage.spec, **family.dropout(study.train.dropout)))
        thin(family, model, Thin(*stage.thin))
        small = family.build(family.config(study.source_spec(vocab))) if stage.teacher else None
        ids = np.random.default_rng(0).integers(min(10, vocab - 1), vocab, 200 * study.objective.length)
        windows = Windows(ids, study.objective.length, SPECIAL["cls"], 0)
        parts = tuple(Part(*part) for part in stage.submodels())
        trainer = Trainer(
            family, model.train(), checkpoint.optimizer(model, lr=o.lr, betas=o.betas, weight_decay=o.weight_decay),
            objective_of(study, SPECIAL["mask"], vocab), windows, o.batch, 0, cost, o.clip, False, None, parts,
            stage.pool, stage.cut, Teacher(family, small.eval(), stage.temperature) if small else None,
        )  # fmt: skip
        turns = len(parts)
        for i in range(WARMED * turns):
            trainer.step(i, 0.0)
        start = time.perf_counter()
        for i in range(TIMED * turns):
            trainer.step(i, 0.0)
        return (time.perf_counter() - start) / (TIMED * turns)


def lines(study: Study, rows: list[dict[str, Any]], speed: float = SPEED) -> Iterator[str]:
    """The forecast for a person. speed: FLOP/s that a GPU is assumed to keep up."""
    seeds = (
        f"seed {study.seeds[0]}" if len(study.seeds) == 1 else f"each of the seeds {', '.join(map(str, study.seeds))}"
    )
    yield f"{study.study}, for {seeds}; a finished model at {_shares(study.budget.points)} of the budget"
    for row in rows:
        phases = row["phases"]
        time_ = "" if row["seconds"] is None else f", {row['seconds']:.0f} s"
        yield (
            f"{row['method']}: {row['steps']} steps, {row['tokens'] / 1e6:.4g} M tokens, "
            f"{row['flops']:.4g} FLOPs (trunk {phases['trunk']['flops']:.4g}, cool-downs {phases['cooldown']['flops']:.4g}; in "
            f"ELECTRA's convention {phases['trunk']['flops_electra']:.4g}, {phases['cooldown']['flops_electra']:.4g})"
            f"{time_}, {row['disk_bytes'] / 1e6:.4g} MB"
        )
        yield from map(_stage_line, row["plan"], row["stages"])
        if row["method"] != SOURCE and len(row["points"]) < len(study.budget.points):
            yield f"    finished models at {_shares(row['points'])} alone: before, its last stage has not begun"
    if all(row["seconds"] is not None for row in rows):
        total = sum(row["seconds"] * len(row["seeds"]) for row in rows)
        yield f"all: {total / 60:.1f} core-minutes of training at {study.train.threads} thread(s) a run, on this machine"
    if search := sum(row["search_flops"] for row in rows):
        yield f"search of learning rates: {len(study.search.lrs)} trials a method with the first seed, {search:.4g} FLOPs"
    yield _total(study, rows, speed)


def _shares(points: Sequence[float]) -> str:
    return ", ".join(map(str, points))


def _total(study: Study, rows: list[dict[str, Any]], speed: float) -> str:
    """All runs of all seeds and the search: FLOPs, the GPU-days that they are at an assumed speed, and disk."""
    flops, disk = (sum(row[key] * len(row["seeds"]) for row in rows) for key in ("flops", "disk_bytes"))
    flops += sum(row["search_flops"] for row in rows)
    tokens = study.corpus.max_tokens
    size = dtype_of(study.corpus.vocab).itemsize
    corpus = "the corpus, of any size" if tokens is None else f"at most {size * tokens / 1e9:.4g} GB for the corpus"
    longest = max(row["flops"] for row in rows) / speed / study.train.processes / 3600
    return (
        f"all: {flops:.4g} FLOPs; at an assumed {speed:.3g} FLOP/s of a GPU (--speed) {flops / speed / DAY:.4g} GPU-days, and "
        f"{longest:.4g} hours for the longest run on {study.train.processes} GPU(s); disk: {corpus}, {disk / 1e9:.4g} GB for runs"
    )


def _stage_line(stage: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    """One stage: when, what, how it is entered, what is special about it, what learns, and what it costs."""
    special = {
        "top": "top {} learn", "block": "blocks of {}", "pool": "embeddings pooled by {}", "cut": "1/{} of a sequence",
        "rank": "FFN factors of rank {:g}", "shared": "attention shared",
        "mask": "masks lifted over {:g}", "teacher": "the source as teacher at {:g}", "slope": "or until the slope is {:g}",
    }  # fmt: skip
    usual = {field.name: field.default for field in fields(Stage)}
    words = [f", {text.format(stage[key])}" for key, text in special.items() if stage[key] != usual[key]]
    shift = f" by {stage['shift']:.3g}" if stage["lr"] == "shift" else ""
    return (
        f"    {told['start']:.4g} to {stage['until']:.4g}: ({stage['spec']['layers']}, {stage['spec']['hidden']}) by "
        f"{stage['enter']}{''.join(words)}; {told['learning'] / 1e6:.4g} of {told['parameters'] / 1e6:.4g} M parameters learn; "
        f"optimizer {stage['optimizer']}, LR {stage['lr']}{shift}; {told['flops']:.4g} FLOPs"
    )
