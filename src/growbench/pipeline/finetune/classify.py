"""Classification and regression: GLUE's and toyglue's tasks under the stock sequence-classification head."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from growbench.pipeline.finetune.ready import Outcome, Tokenised
from growbench.pipeline.finetune.rows import Encoded, batches, collate, cut, typed
from growbench.study.study import Study
from growbench.tasks import Task, glue
from growbench.tasks.metrics.scores import SCORES

EVAL_BATCH = 128


@dataclass(frozen=True)
class Ready(Tokenised):
    """A task whose label is a class or a number."""

    def model(self, folder: Path, pad: int, rates: dict[str, float]) -> Any:
        from transformers import AutoModelForSequenceClassification

        kind = "regression" if self.task.regression else "single_label_classification"
        settings = {"num_labels": self.task.num_labels, "problem_type": kind, "pad_token_id": pad}
        return AutoModelForSequenceClassification.from_pretrained(folder, **settings, **rates)

    def loss(self, model: Any, batch: dict[str, Tensor]) -> Tensor:
        found: Tensor = model(**inputs(model, batch, offset(self))).loss
        return found

    def score(self, model: Any, pad: int, device: torch.device) -> Outcome:
        task, mean = self.task, offset(self)
        predicted = np.zeros(len(self.dev.labels), dtype=self.dev.labels.dtype)
        for rows in batches(self.dev, EVAL_BATCH, None):
            logits = model(**inputs(model, collate(self.dev, rows, pad, device), mean)).logits.float().cpu()
            predicted[rows] = (logits[:, 0] + mean if task.regression else logits.argmax(-1)).numpy()
        scores = results(task, np.nan_to_num(predicted), self.dev.labels)
        return Outcome(scores, bool(np.ptp(predicted) == 0), bool(np.isfinite(predicted).all()))

    def majority(self) -> float:
        """The main metric of always predicting the training rows' commonest class, or their mean."""
        labels = self.train.labels
        constant = labels.mean() if self.task.regression else np.bincount(labels).argmax()
        return results(self.task, np.full(len(self.dev.labels), constant, dtype=labels.dtype), self.dev.labels)[
            self.task.main
        ]


def prepare(study: Study, tokenizer: Any, name: str, own: Any) -> Ready:
    """Read and tokenise one task; own: its settings, whose `max_train` cuts its training rows and makes it a subset."""
    task, train, dev = glue.load(glue.task(name, study), study)
    train, less = cut(train, own.max_train)
    if less:
        task = Task(**{**asdict(task), "subset": True})
    encoded = (_encode(tokenizer, rows, task, own.max_length) for rows in (train, dev))
    return Ready(task, *encoded)


def _encode(tokenizer: Any, rows: Any, task: Task, length: int) -> Encoded:
    texts = [list(column) for column in zip(*(row[0] for row in rows), strict=True)]
    out = tokenizer(*texts, truncation=True, max_length=length, return_token_type_ids=True, return_attention_mask=False)
    kind = np.float32 if task.regression else np.int64
    return Encoded(out["input_ids"], out["token_type_ids"], np.asarray([row[1] for row in rows], dtype=kind))


def offset(ready: Tokenised) -> float:
    """What a regression predicts beyond: the training mean, which small models would spend their few steps on finding."""
    return float(ready.train.labels.mean()) if ready.task.regression else 0.0


def inputs(model: Any, batch: dict[str, Tensor], offset: float) -> dict[str, Tensor]:
    """Return what a model takes of a batch: labels less the offset, and token types where it has a table for them."""
    return typed(model, {**batch, "labels": batch["labels"] - offset} if offset else batch)


def results(task: Task, predicted: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Every metric of the task."""
    return {name: SCORES[name](predicted, labels) for name in task.metrics}
