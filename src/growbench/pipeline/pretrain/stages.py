"""Enter a stage of a plan: a random start, a growth of the trained source, or a growth of the stage before."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from growbench.families import Family, layers_path
from growbench.growth.masking import Masks
from growbench.growth.model import grow_model, operator_of
from growbench.growth.moments import grow_moments
from growbench.methods import Method
from growbench.plan.plan import Stage
from growbench.records import finished
from growbench.spec import ModelSpec
from growbench.study.study import Study
from growbench.study.timeline import SOURCE, Timeline
from growbench.train import checkpoint
from growbench.train.compiled import compiled
from growbench.train.data import PackedSequences
from growbench.train.loop import Trainer
from growbench.train.objective import CausalLM, MaskedLM, Objective
from growbench.train.processes import shard
from growbench.train.processes.ranks import ALONE, Ranks
from growbench.train.variants.submodel import SubModel
from growbench.train.variants.teacher import Teacher
from growbench.train.variants.thin import Thin, thin, whole


@dataclass(frozen=True, kw_only=True)
class Stages:
    """What every stage of one run shares. method: None for the source itself. source_folder: the trained source's Hugging
    Face directory. pad: its padding id.
    """

    course: Timeline
    method: Method | None
    seed: int
    family: Family
    source_spec: ModelSpec
    source_folder: Path
    objective: Objective
    windows: PackedSequences
    device: torch.device
    bf16: bool
    pad: int
    ranks: Ranks = ALONE

    def enter(self, index: int, before: Trainer | None) -> Trainer:
        """Begin stage `index`; before: the trainer of the stage before, None at the first. Grows moments as the plan says.

        Every process does this, from the same weights; what the first one comes to counts.
        """
        stage = self.course.plan.stages[index]
        if stage.enter == "init":
            return self.trainer(index, self.random(stage))
        if before is not None and before.masks is not None:
            before.masks.remove()
        if before is not None and before.root is not None:
            before = self.in_one_piece(index - 1, before)
        if before is not None and self.course.plan.stages[index - 1].thin != stage.thin:
            whole(self.family, before.model)
        if stage.enter == "keep" and before is not None:
            moments = _moments(before) if stage.optimizer != "reset" else {}
            return self._adopted(self.trainer(index, before.model), moments)
        start = before.model.cpu() if before is not None else self._load_source()
        assert self.method is not None
        model = grow_model(start, self.family, stage.spec, self.method, self.course.options, seed=self.seed)
        trainer = self.trainer(index, model)
        if before is None or stage.optimizer == "reset":
            return trainer
        operator, config = self._growth(start.config, stage.spec)
        moments = {n: {k: v.cpu() for k, v in state.items()} for n, state in _moments(before).items()}
        roles, grown_roles = self.family.roles(start.config), self.family.roles(config)
        return self._adopted(trainer, grow_moments(operator, moments, roles, grown_roles, stage.optimizer))

    def trainer(self, index: int, model: Any) -> Trainer:
        """Return the trainer of a stage around its model, which is split over processes where that is asked for."""
        study, stage = self.course.study, self.course.plan.stages[index]
        o, t = study.optimizer, study.train
        model = self._typed(model).train()
        self.ranks.align(model.parameters())
        masks, root = self._masks(index, model), None
        if t.compile and steady(stage):
            compiled(model, layers_path(self.family.roles(model.config)))
        if shard.wanted(t.shard, model, self.ranks, self.device):
            root = shard.shard(model, layers_path(self.family.roles(model.config)), self.ranks, self.device)
        else:
            model.to(self.device)
        return Trainer(
            self.family, model, self._optimizer(model), self.objective, self.windows, o.batch, self.seed,
            self.course.costs[index], o.clip, self.bf16, masks, tuple(SubModel(*part) for part in stage.submodels()), stage.pool,
            stage.cut, self._teacher(index), ranks=self.ranks, accumulate=t.accumulate, root=root,
        )  # fmt: skip

    def in_one_piece(self, index: int, trainer: Trainer) -> Trainer:
        """Return a split model's trainer with everything in one piece, on the CPU of every process."""
        tensors = shard.gathered(checkpoint.snapshot(trainer.model, trainer.opt))
        model = self._typed(self.again(self.course.plan.stages[index], model_config(trainer.model)))
        opt = self._optimizer(model)
        checkpoint.restore(model, opt, tensors)
        return replace(trainer, model=model, opt=opt, masks=None, root=None)

    def finished(self, index: int, trainer: Trainer) -> Any | None:
        """Return the model in one piece where it is to be saved: in the first process."""
        if trainer.root is None:
            return trainer.model if self.ranks.first else None
        weights = {name: parameter.detach() for name, parameter in trainer.model.named_parameters()}
        weights = shard.gathered(weights, keep=self.ranks.first)
        if not self.ranks.first:
            return None
        model = self._typed(self.again(self.course.plan.stages[index], model_config(trainer.model)))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(weights[name])
        return model

    def _typed(self, model: Any) -> Any:
        return model.double() if self.course.study.train.precision == "float64" else model

    def _optimizer(self, model: Any) -> torch.optim.AdamW:
        o = self.course.study.optimizer
        return checkpoint.optimizer(model, lr=o.lr, betas=o.betas, weight_decay=o.weight_decay)

    def _adopted(self, trainer: Trainer, moments: Mapping[str, Mapping[str, Tensor]]) -> Trainer:
        """Give a trainer's optimizer the state of parameters by name, and return it."""
        for name, parameter in trainer.model.named_parameters():
            if name in moments:
                state = {key: values.contiguous() for key, values in moments[name].items()}
                self.ranks.align(state.values())
                trainer.opt.state[parameter] = {k: shard.like(v, parameter) for k, v in state.items()}
        return trainer

    def _masks(self, index: int, model: Any) -> Masks | None:
        stage = self.course.plan.stages[index]
        if stage.mask == 0:
            return None
        smaller = self.course.plan.stages[index - 1].spec if stage.enter == "grow" else self.source_spec
        operator, config = self._growth(self.family.config(smaller, base=model.config), stage.spec)
        return Masks(operator, model, self.family.roles(config))

    def _teacher(self, index: int) -> Teacher | None:
        stage = self.course.plan.stages[index]
        if not stage.teacher:
            return None
        return Teacher(self.family, self._typed(self._load_source()).to(self.device).eval(), stage.temperature)

    def _growth(self, config: Any, spec: ModelSpec) -> Any:
        assert self.method is not None
        return operator_of(self.family, config, spec, self.method, self.course.options, self.seed)

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
        return self.family.model_class().from_pretrained(finished.complete(self.source_folder, SOURCE))


def model_config(model: Any) -> dict[str, Any]:
    """The stock config of a model in training: growing may have changed more than sizes (a norm's epsilon)."""
    return dict(json.loads(model.config.to_json_string(use_diff=False)))


def _moments(trainer: Trainer) -> dict[str, Mapping[str, Tensor]]:
    """The optimizer's state of every parameter that has one, by name."""
    return {n: trainer.opt.state[p] for n, p in trainer.model.named_parameters() if p in trainer.opt.state}


def steady(stage: Stage) -> bool:
    """Whether a stage's layers do the same at every step, each by itself, so that compiling them pays: masks that are lifted
    change them at every step, shared attention hands over from one to the next.
    """
    return stage.mask == 0 and not Thin(*stage.thin).shared


def objective_of(study: Study, mask_id: int, vocab: int) -> Objective:
    """Return the study's objective over a vocabulary of this size."""
    if study.objective.kind == "clm":
        return CausalLM()
    return MaskedLM(study.objective.mask_rate, mask_id, vocab)
