"""A task that is ready to train on, whatever its head."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from growbench.pipeline.finetune.rows import Encoded
from growbench.tasks import Task


@dataclass(frozen=True)
class Outcome:
    """Scores on the dev rows.

    metrics: by name. constant: whether all predictions are the same. finite: whether all outputs are finite numbers.
    """

    metrics: dict[str, float]
    constant: bool
    finite: bool


@dataclass(frozen=True)
class TokenizedTask(ABC):
    """A task with its tokenized train and dev rows."""

    task: Task
    train: Encoded
    dev: Encoded

    @property
    def counts(self) -> tuple[int, int]:
        """The number of train and dev examples."""
        return len(self.train.labels), len(self.dev.labels)

    @abstractmethod
    def model(self, folder: Path, pad: int, rates: dict[str, float]) -> Any:
        """Return the stock model with this task's head on the backbone of a checkpoint.

        pad: the padding id. rates: dropout rates, by the keys of the model's config.
        """

    @abstractmethod
    def loss(self, model: Any, batch: dict[str, Tensor]) -> Tensor:
        """Return the mean loss of a batch in nats (squared error for a regression)."""

    @abstractmethod
    def score(self, model: Any, pad: int, device: torch.device) -> Outcome:
        """Return every metric of the task on the dev rows."""

    @abstractmethod
    def majority(self) -> float:
        """Return the main metric of the best prediction that ignores the input."""
