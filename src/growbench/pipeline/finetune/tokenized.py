"""A task that is ready to train on, whatever its head."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
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


class Split(Protocol):
    """The tokenized rows of one file."""

    @property
    def labels(self) -> np.ndarray:
        """One label per row, or two for spans."""

    @property
    def cut(self) -> int:
        """The number of examples that were cut."""

    def longer(self, length: int) -> int:
        """Return how many examples have more than `length` tokens."""


@dataclass(frozen=True)
class PreparedTask(ABC):
    """A task with its tokenized train and dev rows.

    reached: the length of the sequences that models were pre-trained on.
    """

    task: Task
    train: Split
    dev: Split
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


@dataclass(frozen=True)
class TokenizedTask(PreparedTask):
    """A task that is ready to train on.

    aside: training rows that are not trained on, and choose the LR; None for none.
    second: a second set of dev rows (Task.second); None for none.
    """

    train: Encoded
    dev: Encoded
    aside: Encoded | None = field(default=None, kw_only=True)
    second: Encoded | None = field(default=None, kw_only=True)

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
