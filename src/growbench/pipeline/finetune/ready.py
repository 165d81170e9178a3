"""What the stage asks of a task that is ready to be trained on, whatever its head."""

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
    """Scores on the dev rows. constant: every prediction is the same. finite: every output was a number."""

    metrics: dict[str, float]
    constant: bool
    finite: bool


@dataclass(frozen=True)
class Tokenised(ABC):
    """A task and its tokenised train and dev rows."""

    task: Task
    train: Encoded
    dev: Encoded

    @property
    def counts(self) -> tuple[int, int]:
        """How many train and dev examples there are."""
        return len(self.train.labels), len(self.dev.labels)

    @abstractmethod
    def model(self, folder: Path, pad: int, rates: dict[str, float]) -> Any:
        """Return the stock model with this task's head on a checkpoint's trunk. rates: dropout, by the config's keys."""

    @abstractmethod
    def loss(self, model: Any, batch: dict[str, Tensor]) -> Tensor:
        """Return a batch's mean loss in nats (squared error for a regression)."""

    @abstractmethod
    def score(self, model: Any, pad: int, device: torch.device) -> Outcome:
        """Return every metric of the task on the dev rows."""

    @abstractmethod
    def majority(self) -> float:
        """Return the main metric of the best prediction that reads no input."""
