"""The sections of a config on the learning rate (LR): the optimizer, and the search for its LR and warm-up."""

from typing import Annotated

from pydantic import Field, with_config
from pydantic.dataclasses import dataclass
from typing_extensions import TypedDict

from growbench.study.types import STRICT, Different, Fraction, Rate, Seed, Share, Size, Steps, WarmupSteps


@with_config(STRICT)
class WarmupShare(TypedDict):
    """A warm-up that grows with the budget."""

    share: Share
    """Share of a run's own budget."""


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class OptimizerConfig:
    """AdamW and its learning rate (LR)."""

    lr: Rate
    """Peak LR of the target, unless a method's options override it."""
    source_lr: Rate
    """Peak LR of the source."""
    warmup: WarmupSteps | WarmupShare
    """Steps in which the LR rises, the same for every run, unless a search or a method's options override them; {share: 0.05}: a share of a run's own budget."""
    batch: Size
    """Sequences per step."""
    weight_decay: Share
    """AdamW's weight decay."""
    betas: tuple[Share, Share]
    """Adam's two decay rates."""
    clip: Annotated[float, Field(strict=True, gt=0)] | None
    """Largest global gradient norm; null turns clipping off."""


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class SearchConfig:
    """The search for a learning rate (LR) and a warm-up before the runs of every method and of the source."""

    lrs: Annotated[tuple[Rate, ...], Field(json_schema_extra={"uniqueItems": True}), Different]
    """Peak LRs that it starts with; it goes on by factors of 2 until a worse one lies on each side. Empty: LRs are not searched."""
    warmups: Annotated[tuple[Steps, ...], Field(json_schema_extra={"uniqueItems": True}), Different]
    """The same for warm-ups, in steps. Empty: optimizer.warmup is used."""
    share: Fraction
    """Share of the budget spent on each trial, its cool-down included."""
    seed: Seed
    """Seed of the trials, and of the source that they grow; not one of `seeds`."""
    most: Size
    """Trials of one method at most; a search that needs more is refused."""

    @property
    def wanted(self) -> bool:
        """Whether anything is searched."""
        return bool(self.lrs or self.warmups)
