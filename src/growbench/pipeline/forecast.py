"""growbench plan: what a study will do and cost, before anything is spent.

The steps come from the timeline that a run follows, so that its ledger ends at the FLOPs and tokens forecast here.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from growbench import families
from growbench.families import Family, Role
from growbench.pipeline.pretrain.images import augment_of
from growbench.pipeline.pretrain.setup import objective_of, recipe_of
from growbench.pipeline.pretrain.stages import variant_of
from growbench.plan.flops import StepCost
from growbench.plan.plan import Stage
from growbench.runtime import launch
from growbench.spec import SOURCE, Pixels
from growbench.study import timeline
from growbench.study.study import Study, point_name
from growbench.study.timeline import Entry, Timeline
from growbench.train import build, device
from growbench.train.batches import Batches
from growbench.train.data import PackedSequences
from growbench.train.images import ImageBatches, Images, Scaling
from growbench.train.loop import Trainer
from growbench.train.variants.teacher import Teacher
from growbench.train.variants.thin import Thin, thin

TRIALS = (5, 3)  # of LRs and of warm-ups that a search usually takes
TIMED, WARMUP = 4, 2  # steps of each kind that are timed, and steps before them
SPECIAL = {"cls": 2, "mask": 4}  # ids to be used before there is a vocabulary
BYTES = (4, 8)  # of a parameter in float32 and in float64
CHECKPOINTS = 3 * 3 * 2  # three checkpoints (one is being written) of weights and two moments, for trunk and cool-down


def run(study: Study, *, timing: bool) -> list[dict[str, Any]]:
    """Return one mapping per method, and first one for the source if a method needs it: stages and totals of one seed.

    timing: whether to measure the time of a step on this machine.
    """
    family, clock = families.load(study.target.family), Stopwatch(study) if timing else None
    names = sorted(study.trained(), key=lambda name: name != SOURCE)
    return [_method(study, family, name, clock) for name in names]


def _method(study: Study, family: Family, method: str, clock: "Stopwatch | None") -> dict[str, Any]:
    line = timeline.of(study, method)
    stages, entries = line.plan.stages, line.entries()
    seconds = sum(_seconds(clock, line, entry) for entry in entries) if clock else None
    sizes = [Sizes.of(family, stage, study.pixels) for stage in stages]
    return {
        "method": method,
        "seeds": list(study.seeds),
        "plan": line.plan.to_list(),
        "points": list(line.points),
        "stages": [
            {"start": line.plan.start(i), **asdict(size), **_sums(entries, stage=i)} for i, size in enumerate(sizes)
        ],
        **_sums(entries),
        "tokens_per_parameter": _trained_on(line, entries) / sizes[-1].parameters,
        "phases": {phase: _sums(entries, phase=phase) for phase in ("grow", "trunk", "cooldown")},
        "trials": trials(study, method),
        "search_flops": _search(study, method),
        "seconds": None if seconds is None else round(seconds, 1),
        "disk_bytes": BYTES[study.train.precision == "float64"]
        * sizes[-1].parameters
        * (len(line.points) + CHECKPOINTS),
    }


def _seconds(clock: "Stopwatch", line: Timeline, entry: Entry) -> float:
    """Return the seconds of some steps; those that learn an operator take longer than the stage's in proportion to FLOPs."""
    cost = line.costs[entry.stage]
    return entry.steps * clock.step(line.plan.stages[entry.stage], cost) * (entry.cost.flops / cost.flops)


def _trained_on(line: Timeline, entries: Sequence[Entry]) -> float:
    """Return the tokens that the last finished model has read."""
    last = point_name(line.points[-1])
    return sum(e.steps * e.cost.tokens for e in entries if e.point in ("", last))


def _search(study: Study, method: str) -> float:
    """Return about how many FLOPs the search for a method's LR and warm-up costs: lists grow until they bracket.

    For the source they include the training of the one that trials start from.
    """
    found = 0.0
    if study.searched(method):
        found = trials(study, method) * _sums(timeline.trial(study, method).entries())["flops"]
    if method == SOURCE and study.trial_seed() is not None:
        found += _sums(timeline.of(study, SOURCE).entries())["flops"]
    return found


def trials(study: Study, method: str) -> int:
    """Return about how many trials the search for a method takes."""
    lists = (study.search.lrs, study.search.warmups)
    usual = zip(TRIALS, lists, study.searches(method), strict=True)
    return sum(max(few, len(start)) for few, start, searched in usual if searched)


def _sums(entries: Sequence[Entry], **which: Any) -> dict[str, float]:
    """Return FLOPs in both conventions, tokens and steps of the entries of one phase or stage."""
    chosen = [e for e in entries if all(getattr(e, key) == value for key, value in which.items())]
    amounts = {key: sum(e.steps * getattr(e.cost, key) for e in chosen) for key in ("flops", "flops_electra", "tokens")}
    return {**amounts, "steps": sum(e.steps for e in chosen)}


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many parameters a stage has.

    parameters: of its model.
    learning: those that its steps change.
    """

    parameters: int
    learning: int

    @classmethod
    def of(cls, family: Family, stage: Stage, pixels: Pixels | None = None) -> "Sizes":
        """Count the parameters of a stage on a model without storage. pixels: what image models read."""
        settings = pixels.settings if pixels else {}
        model = thin(family, family.build(family.config(stage.spec, **settings), seed=None), Thin(*stage.thin))
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
    """Return whether a stage's steps change a parameter.

    lowest: the first layer that learns; later layers and what follows them learn as well.
    whole: whether everything learns. tied: whether the head shares the token table.
    """
    role, names = roles[name], list(roles)
    if role.layer is not None:
        return role.layer >= lowest
    last = max(i for i, n in enumerate(names) if roles[n].layer is not None)
    table = tied and "vocab" in {axis.space for axis in role.components[0].axes}
    return whole or table or names.index(name) > last


class Stopwatch:
    """Measures the seconds of one step of each kind of stage on this machine, once each, on random tokens or pixels."""

    def __init__(self, study: Study) -> None:
        self.study, self.known = study, dict[tuple[Any, ...], float]()
        torch.set_num_threads(launch.threads(study.train.threads))

    def step(self, stage: Stage, cost: StepCost) -> float:
        """Return the mean seconds of a step of a stage."""
        key = (stage.spec, stage.submodels(), stage.pool, stage.cut, stage.thin, stage.teacher > 0)
        if key not in self.known:
            self.known[key] = self._measure(stage, cost)
        return self.known[key]

    def _measure(self, stage: Stage, cost: StepCost) -> float:
        study, family = self.study, families.load(self.study.target.family)
        vocab = study.corpus.vocab
        settings = study.pixels.settings if study.pixels else {}
        model = family.build(family.config(stage.spec, **settings, **family.dropout(study.train.dropout)))
        thin(family, model, Thin(*stage.thin))
        compute = device.resolve(study.train.device, study.train.precision)
        small = family.build(family.config(study.source_spec(vocab), **settings)) if stage.teacher else None
        teacher = Teacher(family, compute.place(small).eval(), stage.temperature) if small else None
        batches = _batches(study)
        recipe, variant = replace(recipe_of(study), compile=False, accumulate=1), variant_of(stage, None, teacher)
        trainer = build.trainer(family, model, batches, cost, recipe, compute=compute, variant=variant)
        turns = len(variant.submodels)
        self._take(trainer, WARMUP * turns)
        start = time.perf_counter()
        self._take(trainer, TIMED * turns)
        return (time.perf_counter() - start) / (TIMED * turns)

    @staticmethod
    def _take(trainer: Trainer, steps: int) -> None:
        """Take steps, and wait for the device."""
        float(sum(trainer.step(i, 0.0) for i in range(steps)))


def _batches(study: Study) -> Batches | ImageBatches:
    """Return batches of random tokens, or of random pixels."""
    length, vocab, rng = study.objective.length, study.corpus.vocab, np.random.default_rng(0)
    if study.images is None:
        ids = rng.integers(min(10, vocab - 1), vocab, 200 * length)
        sequences = PackedSequences(ids, length, SPECIAL["cls"], 0)
        return Batches(sequences, objective_of(study, SPECIAL, vocab), study.optimizer.batch)
    size, classes, count = study.images.size, study.images.classes, study.optimizer.batch
    pixels = rng.integers(0, 256, (count, size, size, study.images.pixels.channels), dtype=np.uint8)
    images, scaling = Images(pixels, rng.integers(0, classes, count)), Scaling((0.5,) * 3, (0.25,) * 3)
    return ImageBatches(images=images, scaling=scaling, augment=augment_of(study), size=count, seed=0)
