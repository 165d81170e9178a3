"""The timeline of one run: its plan, its budget, the cost of its steps, and what happens when.

The runner and the forecast both take their steps from here. No torch: checking a config and making a plan need none.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from growbench import families
from growbench.errors import GrowBenchError
from growbench.growth.learned import cost as learned_cost
from growbench.growth.learned.recipe import Learning
from growbench.methods import Method
from growbench.plan import file as planfile
from growbench.plan import flops, lengths
from growbench.plan.plan import Plan, Prices, Stage
from growbench.plan.schedule import Schedule
from growbench.runtime import discover
from growbench.spec import SOURCE, ModelSpec
from growbench.study.study import Study, point_name


@dataclass(frozen=True, slots=True)
class Peak:
    """What a search chose for all runs of a method.

    lr: peak LR; None takes the config's. warmup: steps of the warm-up; None takes the config's.
    """

    lr: float | None = None
    warmup: int | None = None


CONFIGURED = Peak()


@dataclass(frozen=True, slots=True)
class Entry:
    """Equal steps of one stage.

    phase: whether they belong to the trunk or to a cool-down, or learn the operator that the stage is entered by.
    stage: number of the stage.
    point: name of the finished point that a cool-down leads to; empty on the trunk.
    steps: number of steps.
    cost: of one step.
    """

    phase: Literal["grow", "trunk", "cooldown"]
    stage: int
    point: str
    steps: int
    cost: flops.StepCost


@dataclass(frozen=True, slots=True)
class Timeline:
    """What one run does, and when.

    study: the study that it belongs to.
    options: all options of its method.
    plan: its stages.
    budget: FLOPs that it may spend.
    largest: FLOPs of which its points are shares: the largest budget of the study, and of a control its own.
    source: FLOPs of the source that count towards these; 0 unless budget.total is true and the method starts from it.
    points: those of the study at which the method has grown to its target.
    costs: cost of one step, for each stage.
    growths: for each stage, the steps that learn the operator that it is entered by; None without any.
    """

    study: Study
    options: Mapping[str, Any]
    plan: Plan
    budget: float
    largest: float
    source: float
    points: tuple[float, ...]
    costs: tuple[flops.StepCost, ...]
    growths: tuple[Entry | None, ...] = ()

    def learning(self, stage: int) -> float:
        """Return the FLOPs of learning the operator that a stage is entered by."""
        entry = self.growths[stage] if self.growths else None
        return 0.0 if entry is None else entry.steps * entry.cost.flops

    def at(self, peak: "Peak") -> "Timeline":
        """Return the same timeline with the peak LR and the warm-up that a search chose."""
        chosen = {key: value for key, value in asdict(peak).items() if value is not None}
        return replace(self, options={**self.options, **chosen}) if chosen else self

    def warmup(self, stage: int) -> float:
        """Return the FLOPs of a warm-up that begins with a stage and goes on through those that continue it."""
        own = self.options.get("warmup")
        length = self.study.optimizer.warmup if own is None else own
        if not isinstance(length, int):
            return length["share"] * self.budget
        found, steps = 0.0, float(length)
        for number in range(stage, self.continued(stage)):
            length = (self.plan.stages[number].until - self.plan.start(number)) * self.budget - self.learning(number)
            room = max(0.0, length) / self.costs[number].flops
            found += min(steps, room) * self.costs[number].flops
            steps = max(0.0, steps - room)
        return found + steps * self.costs[self.continued(stage)].flops

    def continued(self, stage: int) -> int:
        """Return the last stage that continues the learning rate of a stage."""
        later = range(stage + 1, len(self.costs))
        return next((n for n in later if self.plan.stages[n].lr != "continue"), len(self.costs)) - 1

    def grown(self) -> float:
        """Return the share of the budget from which the target trains as a whole, unmasked and warmed up."""
        last = len(self.costs) - 1
        return self.plan.settled(self.warmup(last) / self.budget) + self.learning(last) / self.budget

    def events(self) -> list[tuple[float, Literal["stage", "point"], float]]:
        """Return what happens at which share of the budget (Plan.events)."""
        return self.plan.events({point: self.study.budget.branch(self.own(point)) for point in self.points})

    def own(self, point: float) -> float:
        """Return the share of the run's own budget at which a finished point lies; below 0 if the source costs more.

        The point 0.0 is the model before its first step, whatever its source cost.
        """
        if point == 0:
            return 0.0
        return point if self.budget == self.largest else (point * self.largest - self.source) / self.budget

    def steps(self, share: float, spent: float, stage: int) -> int:
        """Return the steps of a stage until a share of the budget is spent, each kind of step equally often.

        spent: FLOPs before the first of these steps.
        """
        turn = len(self.plan.stages[stage].submodels())
        return max(0, turn * round((share * self.budget - spent) / self.costs[stage].flops / turn))

    def sequences(self) -> int:
        """Return the number of sequences that the run reads; a cool-down reads those that the trunk reads next."""
        rows, start = 0.0, 0.0
        for number, (stage, cost) in enumerate(zip(self.plan.stages, self.costs, strict=True)):
            learned = self.growths[number] if self.learning(number) else None
            steps = ((stage.until - start) * self.budget - self.learning(number)) / cost.flops
            rows += (steps + (learned.steps if learned else 0)) * self.study.optimizer.batch
            start = stage.until
        return round(rows)

    def check_text(self, name: str, tokens: int) -> None:
        """Raise GrowBenchError if the run `name` would read a text of `tokens` tokens twice, unless data.repeat is true.

        In a study of images these are images.
        """
        text = self.study.images is None
        rows, windows = self.sequences(), tokens // (self.study.objective.length - 1) if text else tokens
        if rows > windows and not self.study.data.repeat:
            more = "text (corpus.max_tokens)" if text else "images (images.most)"
            raise GrowBenchError(
                f"data.repeat: false, but {name} reads {rows} {'sequences' if text else 'images'} and the corpus has {windows}; "
                f"use more {more}, a smaller budget, or data.repeat: true"
            )

    def cooldown(self, point: float, spent: float, stage: int) -> int:
        """Return the steps of the cool-down to a finished point, for a trunk that has spent `spent` FLOPs."""
        if self.study.budget.protocol != "trunk":
            return 0
        return max(0, round((self.own(point) * self.budget - spent) / self.costs[stage].flops))

    def schedule(self, stage: int, began: float) -> Schedule:
        """Return the LR schedule of a stage that began after `began` FLOPs."""
        plan, peak = self.plan.stages[stage], self.options.get("lr") or self.study.optimizer.lr
        warmups, protocol = (self.warmup(0), self.warmup(stage)), self.study.budget.protocol
        return Schedule(peak, *warmups, self.budget, protocol, plan.lr, began, plan.shift, self.learning(0))

    def entries(self) -> list[Entry]:
        """Return all steps in order; a stage that ends by the slope of its loss is assumed to last as long as it may."""
        spent, stage = self.learning(0), 0
        found = [entry for entry in self.growths[:1] if entry]
        for share, kind, what in self.events():
            steps, cost = self.steps(share, spent, stage), self.costs[stage]
            found.append(Entry("trunk", stage, "", steps, cost))
            spent += steps * cost.flops
            if kind == "stage":
                stage = int(what)
                spent += self.learning(stage)
                found += [entry for entry in self.growths[stage : stage + 1] if entry]
            else:
                found.append(Entry("cooldown", stage, point_name(what), self.cooldown(what, spent, stage), cost))
        return [entry for entry in found if entry.steps]


def of(study: Study, name: str, *, vocab: int | None = None, paid: float | None = None) -> Timeline:
    """Return the timeline of a method, or of the source; that of a checkpoint has no steps.

    vocab: size of the corpus' vocabulary; None takes corpus.vocab.
    paid: FLOPs of the source, where they set what the run may spend; None takes the source's budget.
    Raises GrowBenchError for a bad option or plan, and for a source that costs more than the run's total.
    """
    vocab = vocab or study.corpus.vocab
    source, target = study.source_spec(vocab), study.target_spec(vocab)
    if name == SOURCE:
        plan = Plan(stages=(whole(source),))
        cost = step_cost(study, whole(source))
        budget = 0.0 if study.checkpoint else cost.flops * study.source.steps
        return Timeline(
            study, {"lr": study.optimizer.source_lr}, plan, budget, budget, 0.0, study.source.points, (cost,)
        )
    method, options = study.method(name), study.options(name)
    if not study.counts_source(name):
        paid = 0.0
    elif paid is None:
        paid = _source_budget(study, vocab) * study.source_point(name)
    budget, largest, counted = _budget(study, name, step_cost(study, whole(target)).flops * study.steps(vocab), paid)
    family, tokens = families.load(target.family), study.optimizer.batch * study.objective.length
    prices = Prices(budget, lambda s: step_cost(study, s).flops, tokens, flops.parameters(target, family))
    path = options["plan"]
    if path:
        plan = _from_file(study, name, path, vocab)
    else:
        plan = discover.called(Plan, method.plan, source, target, options, prices)
    costs = tuple(step_cost(study, stage) for stage in plan.stages)
    growths = tuple(_growth(study, method, options, number, stage) for number, stage in enumerate(plan.stages))
    made = Timeline(study, options, plan, budget, largest, counted, study.points_of(name), costs, growths)
    return replace(made, points=tuple(point for point in made.points if _fits(made, point)))


def _budget(study: Study, name: str, flops: float, paid: float) -> tuple[float, float, float]:
    """Return what a run may spend, of what its points are shares, and what of the source counts towards these, in FLOPs.

    flops: the largest budget of the study. paid: FLOPs of the source, if they count.
    """
    method, own = study.method(name), study.options(name)["budget"]
    largest = flops * method.horizon + (0.0 if study.budget.total else paid)
    source = paid if study.budget.total else 0.0
    budget = (1.0 if own is None else own) * largest - source
    if budget <= 0:
        raise GrowBenchError(
            f"budget.total: true, but the source costs {source:.4g} FLOPs and {name} may spend {budget + source:.4g} in "
            "total; use a larger budget, or fewer source.steps"
        )
    return budget, largest, source


def _fits(run: Timeline, point: float) -> bool:
    """Return whether the target is trained as a whole, unmasked and warmed up, where the run to a point leaves the trunk.

    At the point 0.0 it only has to be there: whole and unmasked.
    """
    if point == 0:
        first = run.plan.stages[0]
        return first.spec == run.plan.stages[-1].spec and first.thin == (None, False) and first.mask == 0
    leaves = run.study.budget.branch(run.own(point))
    return leaves > (run.warmup(0) + run.learning(0)) / run.budget and leaves >= run.grown()


def _growth(study: Study, method: Method, options: Mapping[str, Any], number: int, stage: Stage) -> Entry | None:
    """Return the steps that learn the operator of the trained source by which a stage is entered."""
    if not method.needs_data or stage.enter != "source":
        return None
    steps = discover.called(Learning, method.learning, options).steps
    source = study.source_spec(stage.spec.vocab)
    forward, inputs = learned_cost.of_growth(method, source, stage.spec, options, study.pixels)
    return Entry("grow", number, "", steps, step_cost(study, stage).with_operator(forward, inputs)) if steps else None


def short(study: Study, share: float, vocab: int | None = None) -> Study:
    """Return the study with a share of all its budgets and one finished point at their end; at share 1 the study itself.

    vocab: size of the corpus' vocabulary; None takes corpus.vocab.
    """
    if share == 1:
        return study
    largest = study.steps(vocab or study.corpus.vocab)
    steps, source = max(1, round(share * largest)), max(1, round(share * study.source.steps))
    budget = replace(study.budget, steps=steps, points=(1.0,), tokens_per_parameter=None)
    return replace(study, budget=budget, source=replace(study.source, steps=source, points=(1.0,)))


def trial(study: Study, name: str) -> Timeline:
    """Return the timeline of a trial in the search for a method, or for the source, as `of` does."""
    share, own = study.search.share, 1.0 if name == SOURCE else study.source_point(name)
    return of(short(study, share), name, paid=share * own * _source_budget(study))


def _source_budget(study: Study, vocab: int | None = None) -> float:
    """Return what the source costs, in FLOPs; 0 for a checkpoint whose cost nobody knows."""
    return (study.source.flops or 0.0) if study.checkpoint else of(study, SOURCE, vocab=vocab).budget


def _from_file(study: Study, name: str, path: str, vocab: int) -> Plan:
    """Return the plan in a file, for a vocabulary whose size may differ from the printed one."""
    stages, target = planfile.read(path, name, *study.variant_of(name)).stages, study.target_spec(study.corpus.vocab)
    for number, stage in enumerate(stages):
        for key in ("family", "vocab", "max_length"):
            if (own := getattr(stage.spec, key)) != (wanted := getattr(target, key)):
                raise GrowBenchError(
                    f"methods.{name}.plan: {path}: stage {number}: spec.{key}: {own!r} is not the study's; use {wanted!r}"
                )
    vocab = study.target_spec(vocab).vocab
    return Plan(stages=tuple(replace(stage, spec=stage.spec.resized(vocab=vocab)) for stage in stages))


def whole(spec: ModelSpec) -> Stage:
    """Return the stage that trains a spec as a whole, from a random start to the end of the budget."""
    return Stage(spec=spec, until=1.0, enter="init")


def step_cost(study: Study, stage: Stage) -> flops.StepCost:
    """Return the cost of one step of a stage under a study's batch, length and objective: the mean over its kinds of step."""
    family, batch = families.load(stage.spec.family), study.optimizer.batch
    read = lengths.after_cut(study.objective.length, stage.cut)
    positions = study.objective.positions(read)
    sized: dict[str, Any] = {"batch": batch, "positions": positions}
    if pixels := study.pixels:
        sized |= {"classes": pixels.classes, "patch_values": pixels.patch_values}
    run = lengths.pooled(read, stage.pool, positions)
    kinds = [
        flops.step(
            stage.spec.resized(layers=depth), family, length=run, top=top, rank=stage.rank, shared=stage.shared, **sized
        )
        for depth, top in stage.submodels()
    ]
    cost = replace(flops.mean(kinds), tokens=batch * read)
    if not stage.teacher:
        return cost
    source = study.source_spec(stage.spec.vocab)
    return cost.beside(flops.step(source, family, length=read, **sized).forward)
