"""Enter a stage of a plan: a random start, a growth of the trained source, or a growth of the stage before."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from growbench import families, flops, methods
from growbench.errors import GrowBenchError
from growbench.families import Family
from growbench.grow import grow_model, growth_of
from growbench.growth.masking import Masks
from growbench.growth.moments import grow_moments
from growbench.plan import Plan, Stage
from growbench.spec import ModelSpec
from growbench.train import checkpoint
from growbench.train.data import Windows
from growbench.train.loop import Trainer
from growbench.train.objective import CausalLM, MaskedLM, Objective
from growbench.train.part import Part
from growbench.train.pool import pooled_length


@dataclass(frozen=True, kw_only=True)
class Stages:
    """What every stage of one run shares. source_folder: the trained source's Hugging Face directory. pad: its padding id."""

    study: Any
    plan: Plan
    method: str
    options: Mapping[str, Any]
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
        stage = self.plan.stages[index]
        if stage.enter == "init":
            return self.trainer(index, self.random(stage.spec))
        if stage.enter == "keep" and before is not None:
            trainer = self.trainer(index, before.model)
            if stage.optimizer != "reset":
                trainer.opt.state.update(before.opt.state)
            return trainer
        start = before.model.cpu() if before is not None else self._load_source()
        method = methods.load(self.method)
        model = grow_model(start, self.family, stage.spec, method, self.options, seed=self.seed)
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
        o, stage = self.study.optimizer, self.plan.stages[index]
        model = model.to(self.device).train()
        if self.study.train.compile:
            model.compile()
        opt = checkpoint.optimizer(model, lr=o.lr, betas=tuple(o.betas), weight_decay=o.weight_decay)
        return Trainer(
            self.family, model, opt, self.objective, self.windows, o.batch, self.seed, self.cost(stage), o.clip,
            self.bf16, self._masks(index, model), tuple(Part(*part) for part in stage.parts()), stage.pool,
        )  # fmt: skip

    def _masks(self, index: int, model: Any) -> Masks | None:
        stage = self.plan.stages[index]
        if stage.mask == 0:
            return None
        smaller = self.plan.stages[index - 1].spec if stage.enter == "grow" else self.source_spec
        growth, config = self._growth(self.family.config(smaller, base=model.config), stage.spec)
        return Masks(growth, model, self.family.roles(config))

    def _growth(self, config: Any, spec: ModelSpec) -> Any:
        return growth_of(self.family, config, spec, methods.load(self.method), self.options, self.seed)

    def random(self, spec: ModelSpec) -> Any:
        """Return a randomly initialised stock model."""
        rates = self.family.dropout(self.study.train.dropout)
        config = self.family.config(spec, initializer_range=self.study.train.init_std, pad_token_id=self.pad, **rates)
        return self.family.build(config, seed=self.seed)

    def cost(self, stage: Stage) -> flops.StepCost:
        """Return what one step of a stage costs, the mean over its kinds of step."""
        return stage_cost(self.study, stage)

    def _load_source(self) -> Any:
        if not (self.source_folder / "config.json").exists():
            raise GrowBenchError(
                f"{self.source_folder}: the source model is not there; run `growbench pretrain --method source` first"
            )
        return self.family.model_class().from_pretrained(self.source_folder)


def stage_cost(study: Any, stage: Stage) -> flops.StepCost:
    """Return what one step of a stage costs under a study's batch, length and objective, the mean over its kinds."""
    length, family = study.objective.length, families.load(stage.spec.family)
    positions = objective_of(study, 0, stage.spec.vocab).positions(length)
    tokens, length = length, pooled_length(length, stage.pool, positions)
    kinds = [
        flops.step(
            stage.spec.resized(layers=depth), family, batch=study.optimizer.batch, length=length, positions=positions,
            top=top,
        )
        for depth, top in stage.parts()
    ]  # fmt: skip
    return replace(flops.mean(kinds), tokens=study.optimizer.batch * tokens)


def objective_of(study: Any, mask_id: int, vocab: int) -> Objective:
    """Return the study's objective over a vocabulary of this size."""
    if study.objective.kind == "clm":
        return CausalLM()
    return MaskedLM(study.objective.mask_rate, mask_id, vocab)
