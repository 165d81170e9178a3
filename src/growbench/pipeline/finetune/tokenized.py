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
    predictions: the value of each example, as a record keeps it (records/predictions.py).
    """

    metrics: dict[str, float]
    constant: bool
    finite: bool
    predictions: dict[str, Any]


@dataclass(frozen=True)
class TokenizedTask(ABC):
    """A task with its tokenized train and dev rows.

    reached: the length of the sequences that models were pre-trained on.
    """

    task: Task
    train: Encoded
    dev: Encoded
    reached: int

    @property
    def counts(self) -> tuple[int, int]:
        """The number of train and dev examples."""
        return len(self.train.labels), len(self.dev.labels)

    @property
    def rows(self) -> dict[str, int]:
        """The numbers of examples, as a record has them: skipped, cut, and with positions that pre-training never reached."""
        n_train, n_dev = self.counts
        return {
            "n_train": n_train,
            "n_dev": n_dev,
            "n_skipped": self.task.skipped,
            "n_cut_train": self.train.cut,
            "n_cut_dev": self.dev.cut,
            "n_unreached": self.train.longer(self.reached) + self.dev.longer(self.reached),
        }

    def labels(self) -> dict[str, Any] | None:
        """Return the labels of the dev examples as a record keeps them; None if predictions are kept as scores."""
        return None

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
