"""A trained smaller model as teacher (Knowledge Inheritance, Qin et al., NAACL 2022, section 3; the authors' code).

    L = (1 - w) CE(y, p) + w tau^2 KL(p_teacher(tau) || p(tau))

on the predicted positions, p(tau) the softmax of logits / tau. The teacher runs forward only, and the ledger counts
its FLOPs.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from growbench.families import Family
from growbench.train.cross_entropy import wide
from growbench.train.objective import Batch, logits


@dataclass
class Teacher:
    """A teacher.

    family: of both models.
    model: the teacher, which does not learn.
    temperature: tau.
    weight: w, set before each step.
    """

    family: Family
    model: nn.Module
    temperature: float
    weight: float = 1.0

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the mean loss in nats over the predicted positions."""
        own = wide(logits(self.family, model, batch))
        with torch.no_grad():
            taught = wide(logits(self.family, self.model, batch))
        student, teacher = (F.log_softmax(values / self.temperature, -1) for values in (own, taught))
        distance = F.kl_div(student, teacher, reduction="batchmean", log_target=True) * self.temperature**2
        return (1 - self.weight) * F.cross_entropy(own, batch.labels) + self.weight * distance
