"""Predictions of single examples: kept exactly or nearly, compactly, and refused where they are damaged."""

import numpy as np
import pytest

from growbench.records import predictions


def test_classes_are_kept_exactly_and_numbers_to_three_digits() -> None:
    rng = np.random.default_rng(0)
    classes, numbers = rng.integers(0, 3, 1000), rng.uniform(0, 5, 1000)
    assert (predictions.unpack(predictions.pack(classes, "class")) == classes).all()
    assert predictions.unpack(predictions.pack(numbers, "number")) == pytest.approx(numbers, rel=1e-3)


@pytest.mark.parametrize("kind", ["class", "number", "score"])
def test_a_thousand_examples_fill_less_than_three_kilobytes(kind: predictions.Kind) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 3, 1000) if kind == "class" else rng.uniform(0, 1, 1000)
    assert len(predictions.pack(values, kind)["data"]) < 3000


@pytest.mark.parametrize("change", [{"data": "?"}, {"data": "AAAA"}, {"data": ""}, {"rows": 4}, {"rows": 2}])
def test_damaged_predictions_are_refused(change: dict) -> None:
    kept = predictions.pack([0, 1, 2], "class")
    with pytest.raises(ValueError, match="not "):
        predictions.unpack({**kept, **change})


def test_a_bomb_is_not_unpacked() -> None:
    bomb = predictions.pack(np.zeros(10_000_000), "class")
    with pytest.raises(ValueError, match="not the values of 5 examples"):
        predictions.unpack({**bomb, "rows": 5})


def test_examples_are_read_with_their_labels_where_a_record_has_them() -> None:
    run = {"task": "a", "seed": 1, "lr": 0.1}
    record = {
        "runs": [
            {**run, "predictions": predictions.pack([0, 1], "class")},
            {**run, "task": "b", "predictions": predictions.pack([0.5, 1.0], "score")},
            {**run, "predictions": None},
            run,
        ],
        "labels": {"a": predictions.pack([1, 1], "class")},
    }
    first, second = predictions.examples(record)
    assert first.predicted.tolist() == [0, 1] and first.labels is not None and first.labels.tolist() == [1, 1]
    assert second.predicted.tolist() == [0.5, 1.0] and second.labels is None and second.kind == "score"
