"""Build a trainer around a model: the only place that does."""

from dataclasses import dataclass
from typing import Any

from growbench.families import Family, layers_path
from growbench.plan.flops import StepCost
from growbench.train import kernels
from growbench.train.batches import Batches
from growbench.train.compiled import compiled
from growbench.train.device import CPU, Compute
from growbench.train.images import ImageBatches
from growbench.train.loop import Trainer
from growbench.train.optimizer import adamw
from growbench.train.processes import shard
from growbench.train.processes.ranks import ALONE, Ranks
from growbench.train.variants.variant import PLAIN, Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How weights are updated.

    betas: of AdamW.
    weight_decay: of AdamW, on matrices only.
    clip: largest norm of the gradient; None does not clip.
    accumulate: micro-batches that each process takes of a batch, one after the other.
    compile: whether layers are compiled.
    shard: whether the model is split over the processes: never, always, or auto (if it would fill half of a GPU).
    """

    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.01
    clip: float | None = 1.0
    accumulate: int = 1
    compile: bool = False
    shard: str = "never"


def trainer(
    family: Family,
    model: Any,
    batches: Batches | ImageBatches,
    cost: StepCost,
    recipe: Recipe,
    *,
    compute: Compute = CPU,
    variant: Variant = PLAIN,
    ranks: Ranks = ALONE,
) -> Trainer:
    """Return the trainer of a model, which is cast, moved to the device, compiled and split in place.

    Every process calls this; the weights of the first one count.
    """
    model = model.to(compute.dtype).train()
    ranks.align(model.parameters())
    kernels.choose(model)
    layers = layers_path(family.roles(model.config))
    if recipe.compile:
        compiled(model, layers)
    split = shard.wanted(recipe.shard, model, ranks, compute.device)
    root = shard.shard(model, layers, ranks, compute.device) if split else None
    if root is None:
        model.to(compute.device)
    return Trainer(
        family=family,
        model=model,
        opt=adamw(model, betas=recipe.betas, weight_decay=recipe.weight_decay),
        batches=batches,
        cost=cost,
        clip=recipe.clip,
        compute=compute,
        variant=variant,
        ranks=ranks,
        accumulate=recipe.accumulate,
        root=root,
    )
