"""Does a grown model compute the source's function? Measured on logits, never on argmax or loss."""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from growbench.families import Family


@dataclass(frozen=True, slots=True)
class Preservation:
    """max_abs_delta: largest difference of a logit. logit_scale: largest absolute logit of the source."""

    max_abs_delta: float
    logit_scale: float

    @property
    def relative_delta(self) -> float:
        return self.max_abs_delta / self.logit_scale

    def to_dict(self) -> dict[str, float]:
        return {**asdict(self), "relative_delta": self.relative_delta}


@torch.no_grad()
def measure(family: Family, source: nn.Module, target: nn.Module, ids: Tensor) -> Preservation:
    """Compare the logits of both models on token ids [B, T], in evaluation mode."""
    modes = source.training, target.training
    a, b = (family.head(m.eval(), family.encode(m, ids)) for m in (source, target))
    source.train(modes[0]), target.train(modes[1])
    return Preservation(float((a - b).abs().max()), float(a.abs().max()))
