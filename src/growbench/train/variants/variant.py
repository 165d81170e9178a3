"""How the steps of a stage differ from plain training of the whole model."""

from dataclasses import dataclass
from typing import Protocol

from growbench.train.variants.submodel import SubModel
from growbench.train.variants.teacher import Teacher


class Lifted(Protocol):
    """Masks over a part of the model, lifted during training."""

    def set(self, share: float) -> None:
        """Let this share of the masked part, from 0 to 1, take effect."""

    def remove(self) -> None:
        """Leave the stock model behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """How the steps of a stage differ from plain training of the whole model; the defaults change nothing.

    masks: over a part of the model, lifted during training.
    submodels: the kinds of step, drawn in turn from step `entered` on; empty trains the whole model.
    entered: the step at which the stage began.
    pool: tokens averaged into one embedding.
    cut: only the first 1/cut of every sequence is read.
    teacher: a smaller model that is imitated.
    """

    masks: Lifted | None = None
    submodels: tuple[SubModel, ...] = ()
    entered: int = 0
    pool: int = 1
    cut: int = 1
    teacher: Teacher | None = None


PLAIN = Variant()
