"""The models of one run: new ones, the trained source, and those that are put together again."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from growbench.families import Family
from growbench.plan.plan import Stage
from growbench.train import checkpoint
from growbench.train.device import Compute
from growbench.train.loop import Trainer
from growbench.train.processes import shard
from growbench.train.variants.thin import Thin, thin


@dataclass(frozen=True, kw_only=True, slots=True)
class Models:
    """Makes the models of one run.

    family: of all its models.
    seed: of new weights.
    init_std: standard deviation of new weights.
    dropout: of new models.
    settings: the stock config's settings for new models, such as the id of the padding token.
    compute: where and in which numbers they compute.
    source_folder: finds the Hugging Face directory of the trained source, or raises GrowBenchError.
    base: the stock config of the checkpoint that is the study's source, whose settings all models share; None without one.
    fill: puts the checkpoint's weights into a model of its shape; None unless the run is that of the source itself.
    """

    family: Family
    seed: int
    init_std: float
    dropout: float
    settings: Mapping[str, Any]
    compute: Compute
    source_folder: Callable[[], Path]
    base: Any = None
    fill: Callable[[Any], None] | None = None

    def random(self, stage: Stage) -> Any:
        """Return the model that a run begins with: randomly initialized, thin if the stage trains it so, or the checkpoint."""
        own = {"initializer_range": self.init_std, **self.settings, **self.family.dropout(self.dropout)}
        model = self._built(stage, self.family.config(stage.spec, base=self.base, **own))
        if self.fill is not None:
            self.fill(model)
        return model

    def again(self, stage: Stage, config: dict[str, Any]) -> Any:
        """Return a model of a stage with the stock config that it was saved with; its weights are yet to be loaded."""
        return self._built(stage, type(self.family.config(stage.spec)).from_dict(config))

    def source(self) -> Any:
        """Return the trained source. Raises GrowBenchError if there is none that this run can start from."""
        return self.family.model_class().from_pretrained(self.source_folder())

    def whole(self, stage: Stage, trainer: Trainer) -> tuple[Any, Mapping[Tensor, Mapping[str, Tensor]]]:
        """Return a trainer's model and its optimizer's state by parameter, put together on the CPU if they are split.

        Every process must call this.
        """
        if trainer.root is None:
            return trainer.model, trainer.opt.state
        tensors = shard.gathered(checkpoint.snapshot(trainer.model, trainer.opt))
        model = self._again(stage, trainer)
        opt = torch.optim.AdamW(model.parameters())  # holds the state and takes no step
        checkpoint.restore(model, opt, tensors)
        return model, opt.state

    def finished(self, stage: Stage, trainer: Trainer) -> Any | None:
        """Return the whole model in the first process, which saves it, and None in the others.

        Every process must call this.
        """
        first = trainer.ranks.first
        if trainer.root is None:
            return trainer.model if first else None
        split = {name: parameter.detach() for name, parameter in trainer.model.named_parameters()}
        weights = shard.gathered(split, keep=first)
        if not first:
            return None
        model = self._again(stage, trainer)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(weights[name])
        return model

    def _again(self, stage: Stage, trainer: Trainer) -> Any:
        return self.again(stage, model_config(trainer.model)).to(self.compute.dtype)

    def _built(self, stage: Stage, config: Any) -> Any:
        model = self.family.build(config, seed=self.seed)
        torch.manual_seed(self.seed)
        return thin(self.family, model, Thin(*stage.thin))


def model_config(model: Any) -> dict[str, Any]:
    """Return the stock config of a model in training; growing may change more than sizes (a norm's epsilon)."""
    return dict(json.loads(model.config.to_json_string(use_diff=False)))
