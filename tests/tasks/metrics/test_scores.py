"""GLUE's metrics against hand-computed values, and the same numbers from the `evaluate` modules."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from growbench.tasks import glue, toyglue
from growbench.tasks.metrics import modules
from growbench.tasks.metrics.scores import SCORES
from growbench.tasks.metrics.squad import mean_scores

FOLDER = Path(modules.__file__).parent
EVALUATE = """
import json, sys
import evaluate

for file, predictions, references in json.load(sys.stdin):
    print(json.dumps(evaluate.load(file).compute(predictions=predictions, references=references)))
"""


@pytest.mark.parametrize(
    ("name", "predicted", "wanted", "value"),
    [
        ("accuracy", [1, 0, 1, 1], [1, 0, 0, 1], 0.75),
        ("f1", [1, 0, 1, 1], [1, 0, 0, 1], 0.8),
        ("f1", [0, 0], [1, 0], 0.0),
        ("matthews", [1, 0, 1, 1], [1, 0, 0, 1], 1 / 3**0.5),
        ("matthews", [1, 1, 1], [1, 0, 1], 0.0),
        ("pearson", [1.0, 2.0, 4.0], [1.0, 2.0, 3.0], 0.9819805060619657),
        ("spearman", [1.0, 2.0, 40.0], [1.0, 2.0, 3.0], 1.0),
        ("pearson", [1.0, 1.0], [1.0, 2.0], 0.0),
    ],
)
def test_metrics_by_hand(name: str, predicted: list[float], wanted: list[float], value: float) -> None:
    assert SCORES[name](predicted, wanted) == pytest.approx(value)


def test_every_metric_of_a_task_is_known() -> None:
    for task in (*glue.TASKS.values(), *toyglue.TASKS.values()):
        assert set(task.metrics) <= set(SCORES)


def test_evaluate_modules_give_the_same_numbers_and_write_no_columns(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    classes, numbers = rng.integers(0, 2, (2, 50)).tolist(), rng.random((2, 50)).tolist()
    asked = [(name, *(numbers if name in ("pearson", "spearman") else classes)) for name in SCORES]
    wanted = [{name: SCORES[name](*columns)} for name, *columns in asked]
    squad = (["the cat", ""], [["a cat", "dog"], []])
    asked, wanted = [*asked, ("squad", *squad)], [*wanted, mean_scores(*squad)]
    assert {f"{name}.py" for name, *_ in asked} == {path.name for path in FOLDER.glob("[a-z]*.py")}
    text = json.dumps([(str(FOLDER / f"{name}.py"), *columns) for name, *columns in asked])
    home = {**os.environ, "HF_HOME": str(tmp_path / "home")}
    found = subprocess.run([sys.executable, "-c", EVALUATE], input=text, capture_output=True, text=True, env=home)
    assert [json.loads(line) for line in found.stdout.splitlines()] == wanted, found.stderr
    assert not [*tmp_path.rglob("*.arrow"), *(tmp_path / "home/metrics").glob("*")]
