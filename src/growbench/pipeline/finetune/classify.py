"""Classification and regression: GLUE's and toyglue's tasks with the stock sequence-classification head."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from growbench.pipeline.corpus.plain import PlainTokenizer
from growbench.pipeline.finetune import cut_rows
from growbench.pipeline.finetune.cache import HELD_OUT
from growbench.pipeline.finetune.rows import Encoded, batches, collate, cut, typed
from growbench.pipeline.finetune.tokenized import Outcome, TokenizedTask
from growbench.records import predictions
from growbench.study.sections import FinetuneConfig
from growbench.study.study import Study
from growbench.tasks import Task, glue
from growbench.tasks.metrics.scores import SCORES

EVAL_BATCH = 128


@dataclass(frozen=True)
class Classification(TokenizedTask):
    """A task whose label is a class or a number."""

    def model(self, folder: Path, pad: int, rates: dict[str, float]) -> Any:
        from transformers import AutoModelForSequenceClassification

        problem = "regression" if self.task.regression else "single_label_classification"
        settings = {"num_labels": self.task.num_labels, "problem_type": problem, "pad_token_id": pad}
        return AutoModelForSequenceClassification.from_pretrained(folder, **settings, **rates)

    def loss(self, model: Any, batch: dict[str, Tensor]) -> Tensor:
        found: Tensor = model(**inputs(model, batch, self.offset)).loss
        return found

    def score(self, model: Any, pad: int, device: torch.device) -> Outcome:
        predicted = np.zeros(len(self.dev.labels), dtype=self.dev.labels.dtype)
        for rows in batches(self.dev, EVAL_BATCH, None):
            batch = inputs(model, collate(self.dev, rows, pad, device), self.offset)
            logits = model(**batch).logits.float().cpu()
            predicted[rows] = (logits[:, 0] + self.offset if self.task.regression else logits.argmax(-1)).numpy()
        shown = np.nan_to_num(predicted)
        scores, kept = results(self.task, shown, self.dev.labels), predictions.pack(shown, kind(self.task))
        return Outcome(scores, bool(np.ptp(predicted) == 0), bool(np.isfinite(predicted).all()), kept)

    def labels(self) -> dict[str, Any]:
        return predictions.pack(self.dev.labels, kind(self.task))

    def majority(self) -> float:
        """Return the main metric of always predicting the most frequent class of the training rows, or their mean."""
        return majority(self.task, self.train.labels, self.dev.labels)

    @property
    def offset(self) -> float:
        """The training mean of a regression, 0 for classes. The model predicts the difference from it.

        Otherwise small models would spend their few steps on finding the mean.
        """
        return float(self.train.labels.mean()) if self.task.regression else 0.0


def prepare(study: Study, tokenizer: PlainTokenizer, name: str, settings: FinetuneConfig) -> Classification:
    """Read and tokenize one task. If settings.max_train cuts its training rows, it becomes a subset."""
    task, train, dev = glue.load(glue.task(name, study), study)
    train, less = cut(train, settings.max_train)
    if less:
        task = replace(task, subset=True)
    task, second = glue.second(task, study)
    train, aside = held_out(train, settings)

    def encoded(rows: Any, split: str) -> Encoded:
        return _encode(tokenizer, rows, task, split, settings, study.reached)

    one, two = cut_rows.SPLITS
    return Classification(
        task,
        encoded(train, one),
        encoded(dev, two),
        study.reached,
        aside=encoded(aside, one) if aside else None,
        second=encoded(second, two) if second else None,
    )


def held_out(rows: list[Any], settings: FinetuneConfig) -> tuple[list[Any], list[Any]]:
    """Return the rows to train on, and those that choose the LR: always the same random ones; none unless they are asked for."""
    if settings.protocol != HELD_OUT:
        return rows, []
    order = np.random.default_rng(1).permutation(len(rows))
    count = min(max(1, round(settings.held_out * len(rows))), len(rows) - 1)
    return [rows[i] for i in sorted(order[count:])], [rows[i] for i in sorted(order[:count])]


def _encode(
    tokenizer: PlainTokenizer, rows: Any, task: Task, split: str, settings: FinetuneConfig, reached: int
) -> Encoded:
    """Tokenize the rows of a split. Raises GrowBenchError if more of them are cut than allowed."""
    limit, most = settings.max_length, settings.most_cut
    ids, types, before = cut_rows.tokenized(tokenizer, list(zip(*(row[0] for row in rows), strict=True)), limit)
    cut_rows.of_rows(task.name, split, before, limit, most, reached).check(most)
    return Encoded(ids, types, labels(task, rows), cut=int((before > limit).sum()))


def labels(task: Task, rows: Any) -> np.ndarray:
    """Return the labels of rows ((text, ...), label), [rows]."""
    return np.asarray([row[1] for row in rows], dtype=np.float32 if task.regression else np.int64)


def majority(task: Task, train: np.ndarray, dev: np.ndarray) -> float:
    """Return the main metric on labels [dev rows] of predicting the most frequent class, or the mean, of labels [train rows]."""
    constant = train.mean() if task.regression else np.bincount(train).argmax()
    return results(task, np.full(len(dev), constant, dtype=train.dtype), dev)[task.main]


def kind(task: Task) -> predictions.Kind:
    """Return what a prediction is: a class, or a number."""
    return "number" if task.regression else "class"


def inputs(model: Any, batch: dict[str, Tensor], offset: float) -> dict[str, Tensor]:
    """Return the arguments of the model: labels minus the offset, and token types if it has a table for them."""
    return typed(model, {**batch, "labels": batch["labels"] - offset} if offset else batch)


def results(task: Task, predicted: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return every metric of the task. predicted, labels: [rows]."""
    return {name: SCORES[name](predicted, labels) for name in task.metrics}
