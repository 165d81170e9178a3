"""Enter a stage of a plan: a random start, a growth of the trained source, or a growth of the stage before."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from growbench import finished
from growbench.course import SOURCE, Course
from growbench.families import Family
from growbench.grow import grow_model, growth_of
from growbench.growth.masking import Masks
from growbench.growth.moments import grow_moments
from growbench.methods import Method
from growbench.plan import Stage
from growbench.spec import ModelSpec
from growbench.train import checkpoint
from growbench.train.data import Windows
from growbench.train.loop import Trainer
from growbench.train.objective import CausalLM, MaskedLM, Objective
from growbench.train.part import Part
from growbench.train.teacher import Teacher
from growbench.train.thin import Thin, thin, whole


@dataclass(frozen=True, kw_only=True)
class Stages:
    """What every stage of one run shares. method: None for the source itself. source_folder: the trained source's Hugging
    Face directory. pad: its padding id.
    """

    course: Course
    method: Method | None
    seed: int
    family: Family
    source_spec: ModelSpec
    source_folder: Path
    objective: Objective
    windows: Windows
    device: torch.device
    bf16: bool
    pad: int

    def enter(self, index: int, before: Trainer | None) -> Trainer:
        """Begin stage `index`; before: the trainer of the stage before, None at the first. Grows moments as the plan says."""
        stage = self.course.plan.stages[index]
        if stage.enter == "init":
            return self.trainer(index, self.random(stage))
        if before is not None and before.masks is not None:
            before.masks.remove()
        if before is not None and self.course.plan.stages[index - 1].thin != stage.thin:
            whole(self.family, before.model)
        if stage.enter == "keep" and before is not None:
            trainer = self.trainer(index, before.model)
            if stage.optimizer != "reset":
                trainer.opt.state.update(before.opt.state)
            return trainer
        start = before.model.cpu() if before is not None else self._load_source()
        assert self.method is not None
        model = grow_model(start, self.family, stage.spec, self.method, self.course.options, seed=self.seed)
        trainer = self.trainer(index, model)
        if before is not None and stage.optimizer != "reset":
            self._carry(before, start, trainer, stage)
        return trainer

    def _carry(self, before: Trainer, start: Any, trainer: Trainer, stage: Stage) -> None:
        """Grow the moments of the stage before into the new optimizer."""
        growth, config = self._growth(start.config, stage.spec)
        moments = {n: before.opt.state[p] for n, p in start.named_parameters() if p in before.opt.state}
        moments = {n: {k: v.cpu() for k, v in state.items()} for n, state in moments.items()}
        roles, grown_roles = self.family.roles(start.config), self.family.roles(config)
        for name, state in grow_moments(growth, moments, roles, grown_roles, stage.optimizer).items():
            parameter = trainer.model.get_parameter(name)
            trainer.opt.state[parameter] = {k: v if k == "step" else v.to(self.device) for k, v in state.items()}

    def trainer(self, index: int, model: Any) -> Trainer:
        """Return the trainer of a stage around its model."""
        o, stage = self.course.study.optimizer, self.course.plan.stages[index]
        model = model.to(self.device).train()
        if self.course.study.train.compile:
            model.compile()
        opt = checkpoint.optimizer(model, lr=o.lr, betas=o.betas, weight_decay=o.weight_decay)
        return Trainer(
            self.family, model, opt, self.objective, self.windows, o.batch, self.seed, self.course.costs[index], o.clip,
            self.bf16, self._masks(index, model), tuple(Part(*part) for part in stage.parts()), stage.pool, stage.cut,
            self._teacher(index),
        )  # fmt: skip

    def _masks(self, index: int, model: Any) -> Masks | None:
        stage = self.course.plan.stages[index]
        if stage.mask == 0:
            return None
        smaller = self.course.plan.stages[index - 1].spec if stage.enter == "grow" else self.source_spec
        growth, config = self._growth(self.family.config(smaller, base=model.config), stage.spec)
        return Masks(growth, model, self.family.roles(config))

    def _teacher(self, index: int) -> Teacher | None:
        stage = self.course.plan.stages[index]
        if not stage.teacher:
            return None
        return Teacher(self.family, self._load_source().to(self.device).eval(), stage.temperature)

    def _growth(self, config: Any, spec: ModelSpec) -> Any:
        assert self.method is not None
        return growth_of(self.family, config, spec, self.method, self.course.options, self.seed)

    def random(self, stage: Stage) -> Any:
        """Return a randomly initialised model of a stage, in the shape in which the stage trains it."""
        o = self.course.study.train
        config = self.family.config(
            stage.spec, initializer_range=o.init_std, pad_token_id=self.pad, **self.family.dropout(o.dropout)
        )
        return self._built(stage, config)

    def again(self, stage: Stage, config: dict[str, Any]) -> Any:
        """Return a model of a stage with the stock config that it had when it was saved; its weights are still to come."""
        return self._built(stage, type(self.family.config(stage.spec)).from_dict(config))

    def _built(self, stage: Stage, config: Any) -> Any:
        model = self.family.build(config, seed=self.seed)
        torch.manual_seed(self.seed)
        return thin(self.family, model, Thin(*stage.thin))

    def _load_source(self) -> Any:
        return self.family.model_class().from_pretrained(finished.whole(self.source_folder, SOURCE))


def objective_of(study: Any, mask_id: int, vocab: int) -> Objective:
    """Return the study's objective over a vocabulary of this size."""
    if study.objective.kind == "clm":
        return CausalLM()
    return MaskedLM(study.objective.mask_rate, mask_id, vocab)
