"""Learn an operator: the trainer of its factors on text, with the source frozen."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from growbench.families import Family
from growbench.growth.learned.composition import Composition
from growbench.growth.learned.recipe import Learning
from growbench.plan.flops import StepCost
from growbench.train import activations, attention
from growbench.train.batches import Batches
from growbench.train.device import CPU, Compute
from growbench.train.images import ImageBatches
from growbench.train.loop import Trainer
from growbench.train.objective import Batch, loss
from growbench.train.processes.ranks import ALONE, Ranks
from growbench.train.variants.variant import PLAIN


@dataclass(kw_only=True)
class Learner(Trainer):
    """A trainer whose model is a composition: a step composes the target once, whatever the number of micro-batches."""

    model: Composition

    @contextmanager
    def _micro_batches(self) -> Iterator[None]:
        with self.model.opened():
            yield

    def _loss(self, batch: Batch) -> torch.Tensor:
        return self.model.call(lambda target: loss(self.family, target, batch))


def learner(
    family: Family,
    composition: Composition,
    batches: Batches | ImageBatches,
    cost: StepCost,
    learning: Learning,
    *,
    accumulate: int = 1,
    compute: Compute = CPU,
    ranks: Ranks = ALONE,
) -> Learner:
    """Return the trainer of a composition's factors. The composition is cast and moved to the device in place.

    Every process calls this; the factors of the first one count. cost: of one step, the operator's products included.
    """
    composition.to(compute.device, compute.dtype).emptied()
    ranks.align(composition.parameters())
    target = composition.stock.to(compute.device).train()
    activations.fuse(target)
    attention.choose(target)
    opt = torch.optim.AdamW(
        composition.parameters(), lr=0.0, betas=learning.betas, eps=learning.eps, weight_decay=learning.weight_decay,
        fused=True,
    )  # fmt: skip
    return Learner(
        family=family,
        model=composition,
        opt=opt,
        batches=batches,
        cost=cost,
        clip=learning.clip,
        compute=compute,
        variant=PLAIN,
        ranks=ranks,
        accumulate=accumulate,
        root=None,
    )
