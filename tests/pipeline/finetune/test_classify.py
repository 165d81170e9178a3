"""Regression: the model predicts the difference from the training mean, and correlation scores it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from growbench.pipeline.finetune.classify import Classification, inputs, results
from growbench.pipeline.finetune.rows import Encoded
from growbench.tasks import Task

TASK = Task(
    name="x", suite="GLUE", text_columns=("s",), label_column="l", num_labels=1, labels=None,
    metrics=("pearson",), main="pearson",
)  # fmt: skip


def test_a_regression_starts_from_the_training_mean() -> None:
    rows = Encoded([[1]] * 3, [[0]] * 3, np.array([1.0, 2.0, 6.0], dtype=np.float32))
    assert Classification(TASK, rows, rows, 8).offset == 3.0
    model = SimpleNamespace(config=SimpleNamespace(type_vocab_size=2))
    batch = {"labels": torch.tensor([1.0, 6.0]), "token_type_ids": torch.zeros(2)}
    assert inputs(model, batch, 3.0)["labels"].tolist() == [-2.0, 3.0]
    assert "token_type_ids" not in inputs(SimpleNamespace(config=SimpleNamespace()), batch, 0.0)


def test_a_regression_task_is_scored_by_correlation() -> None:
    found = results(TASK, np.array([1, 2, 3], dtype=np.float32), np.array([2, 4, 6], dtype=np.float32))
    assert found["pearson"] == pytest.approx(1)
