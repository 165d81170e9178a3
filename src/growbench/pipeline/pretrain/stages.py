"""Enter a stage of a plan: a random start, a growth of the trained source, or a growth of the previous stage."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from growbench.growth.masking import Masks, ramp
from growbench.growth.model import compose_model, grow_model, operator_of
from growbench.growth.moments import grow_moments
from growbench.methods import Method
from growbench.pipeline.pretrain.models import Models
from growbench.plan.plan import Stage
from growbench.spec import ModelSpec
from growbench.study.timeline import Timeline
from growbench.train import build
from growbench.train.batches import Batches
from growbench.train.images import ImageBatches
from growbench.train.learning import Learner, learner
from growbench.train.loop import Trainer
from growbench.train.processes import shard
from growbench.train.processes.ranks import ALONE, Ranks
from growbench.train.variants.submodel import SubModel
from growbench.train.variants.teacher import Teacher
from growbench.train.variants.thin import Thin, whole
from growbench.train.variants.variant import Lifted, Variant


@dataclass(frozen=True, kw_only=True, slots=True)
class Stages:
    """Makes the trainer of each stage of one run.

    timeline: what the run does, and when.
    method: the run's method; None for the source itself.
    models: makes the run's models.
    source_spec: shape of the source.
    batches: what every stage reads and predicts.
    recipe: how weights are updated.
    ranks: the processes that train together.
    """

    timeline: Timeline
    method: Method | None
    models: Models
    source_spec: ModelSpec
    batches: Batches | ImageBatches
    recipe: build.Recipe
    ranks: Ranks = ALONE

    def enter(self, index: int, before: Trainer | None, entered: int = 0, learned: Any = None) -> Trainer:
        """Begin stage `index` and return its trainer; moments grow as the plan says.

        Every process calls this with the same weights; the result of the first one counts.

        before: trainer of the previous stage; None at the first. entered: the step at which the stage begins.
        learned: the model that a learned operator makes; None if none is learned.
        """
        stage = self.timeline.plan.stages[index]
        if stage.enter == "init":
            return self.trainer(index, self.models.random(stage), entered)
        if before is None:
            grown = self._grown(self.models.source(), stage) if learned is None else learned
            return self.trainer(index, grown, entered)
        model, moments = self._previous(index, before)
        if stage.enter == "keep":
            made = self.trainer(index, model, entered)
        else:
            start = model.cpu()
            made = self.trainer(index, self._grown(start, stage), entered)
            if stage.optimizer != "reset":
                moments = self._grown_moments(start.config, stage, moments)
        return made if stage.optimizer == "reset" else self._adopted(made, moments)

    def trainer(self, index: int, model: Any, entered: int) -> Trainer:
        """Return the trainer of stage `index` around a model. entered: the step at which the stage began."""
        stage = self.timeline.plan.stages[index]
        return build.trainer(
            self.models.family,
            model,
            self.batches,
            self.timeline.costs[index],
            replace(self.recipe, compile=self.recipe.compile and steady(stage)),
            compute=self.models.compute,
            variant=variant_of(stage, self._masks(index, model), self._teacher(stage), entered),
            ranks=self.ranks,
        )

    def learner(self, index: int) -> Learner:
        """Return the trainer of the operator that makes the model of stage `index` of the source."""
        stage, growth = self.timeline.plan.stages[index], self.timeline.growths[index]
        assert self.method is not None and growth is not None
        family, options = self.models.family, self.timeline.options
        source = self.models.source().to(self.models.compute.dtype)
        made = compose_model(source, family, stage.spec, self.method, options, seed=self.models.seed)
        how, accumulate = self.method.learning(options), self.recipe.accumulate
        return learner(
            family, made, self.batches, growth.cost, how,
            accumulate=accumulate, compute=self.models.compute, ranks=self.ranks,
        )  # fmt: skip

    def before_step(self, index: int, trainer: Trainer, spent: float, began: float) -> Callable[[int], None]:
        """Return what happens before the i-th step from here: masks are lifted, and the teacher's weight falls.

        spent: FLOPs until now. began: FLOPs when stage `index` began.
        """
        stage, budget = self.timeline.plan.stages[index], self.timeline.budget
        masks, teacher, end = trainer.variant.masks, trainer.variant.teacher, stage.until * budget

        def before(i: int) -> None:
            now = spent + i * trainer.cost.flops
            if masks is not None:
                masks.set(ramp(now / budget, began / budget, stage.mask))
            if teacher is not None:
                teacher.weight = stage.teacher * min(1.0, max(0.0, (end - now) / (end - began)))

        return before

    def _previous(self, index: int, before: Trainer) -> tuple[Any, Mapping[str, Mapping[str, Tensor]]]:
        """Return the stock model of the stage before `index`, without masks, and its moments by parameter name."""
        previous, stage = self.timeline.plan.stages[index - 1], self.timeline.plan.stages[index]
        if before.variant.masks is not None:
            before.variant.masks.remove()
        model, state = self.models.whole(previous, before)
        if previous.thin != stage.thin:
            whole(self.models.family, model)
        return model, {name: state[p] for name, p in model.named_parameters() if p in state}

    def _grown(self, model: Any, stage: Stage) -> Any:
        assert self.method is not None
        family, options = self.models.family, self.timeline.options
        return grow_model(model, family, stage.spec, self.method, options, seed=self.models.seed)

    def _grown_moments(
        self, config: Any, stage: Stage, moments: Mapping[str, Mapping[str, Tensor]]
    ) -> Mapping[str, Mapping[str, Tensor]]:
        """Return the moments of a stage's parameters. config: stock config of the model that it grows from."""
        operator, grown = self._operator(config, stage.spec)
        roles, family = self.models.family.roles, self.models.family
        moments = {n: {k: v.cpu() for k, v in state.items()} for n, state in moments.items()}
        return grow_moments(operator, moments, roles(config), family.roles(grown), stage.optimizer)

    def _adopted(self, trainer: Trainer, moments: Mapping[str, Mapping[str, Tensor]]) -> Trainer:
        """Give a trainer's optimizer the moments of parameters by name, and return the trainer."""
        for name, parameter in trainer.model.named_parameters():
            if name in moments:
                state = {key: values.contiguous() for key, values in moments[name].items()}
                self.ranks.align(state.values())
                trainer.opt.state[parameter] = {k: shard.like(v, parameter) for k, v in state.items()}
        return trainer

    def _masks(self, index: int, model: Any) -> Masks | None:
        stage = self.timeline.plan.stages[index]
        if stage.mask == 0:
            return None
        smaller = self.timeline.plan.stages[index - 1].spec if stage.enter == "grow" else self.source_spec
        family = self.models.family
        operator, config = self._operator(family.config(smaller, base=model.config), stage.spec)
        return Masks(operator, model, family.roles(config))

    def _teacher(self, stage: Stage) -> Teacher | None:
        if not stage.teacher:
            return None
        return Teacher(self.models.family, self.models.compute.place(self.models.source()).eval(), stage.temperature)

    def _operator(self, config: Any, spec: ModelSpec) -> Any:
        assert self.method is not None
        return operator_of(self.models.family, config, spec, self.method, self.timeline.options, self.models.seed)


def variant_of(stage: Stage, masks: Lifted | None, teacher: Teacher | None, entered: int = 0) -> Variant:
    """Return how a stage's steps differ from plain training. entered: the step at which it began."""
    submodels = tuple(SubModel(*pair) for pair in stage.submodels())
    return Variant(masks=masks, submodels=submodels, entered=entered, pool=stage.pool, cut=stage.cut, teacher=teacher)


def steady(stage: Stage) -> bool:
    """Return whether compiling a stage's layers pays: each does the same at every step, independently of the others.

    Masks change the layers at every step, and shared attention connects them.
    """
    return stage.mask == 0 and not Thin(*stage.thin).shared
