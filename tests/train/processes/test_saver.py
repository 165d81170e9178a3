"""A run that is killed while several processes write its checkpoint goes on from the one before, with any number of processes."""

import csv
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from support.stopped import BATCH, METHOD, WRITTEN
from support.tiny import ALWAYS, ROOT
from support.together import PLACES, TORCHRUN, alone
from torch.testing import assert_close

from growbench.records.layout import Layout
from growbench.runtime import durable

UPDATE = 1e-3  # less than one of Adam at the peak LR
RUN, CURVE = Layout("tiny").run(METHOD, 0), Layout("tiny").curve(METHOD, 0)


def together(folder: Path, processes: int, death: str, **train: Any) -> int:
    """Train with several processes in a folder; return the exit status of torchrun."""
    words = [*TORCHRUN, str(processes), str(ROOT / "tests/support/stopped.py"), str(folder), death, json.dumps(train)]
    return subprocess.run(words, env=PLACES, capture_output=True).returncode


def losses(folder: Path) -> list[float]:
    with open(folder / CURVE, encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    return [float(row[key]) for row in rows for key in ("train_loss", "valid_loss") if row[key]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("death", "before", "after", "precision", "bounds"),
    [
        ("seal", (3, "always"), (2, "always"), "float64", (1e-9, 1e-9)),
        ("part", (2, "never"), (3, "always"), "float32", (1e-5, 1e-5)),
    ],
)
def test_a_run_killed_while_it_saves_goes_on_with_another_number_of_processes(
    tmp_path: Path,
    death: str,
    before: tuple[int, str],
    after: tuple[int, str],
    precision: str,
    bounds: tuple[float, float],
) -> None:
    """Losses and weights stay within these bounds, and a key's bias in float32 within one update. No loss depends on it, so that
    its gradient is rounding, which Adam scales up to the LR."""
    whole = alone(tmp_path / "whole", "bert", "source", METHOD, batch=BATCH, precision=precision)
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    assert together(first, before[0], death, shard=before[1], precision=precision, checkpoint_seconds=ALWAYS)
    state = json.loads((first / RUN.state / "state.json").read_text())
    assert state["at"]["step"] + state["segment"]["done"] == WRITTEN and not durable.damage(first / RUN.state)
    assert durable.temporary(first / RUN.state).exists()
    shutil.copytree(first, second, dirs_exist_ok=True)
    assert together(second, after[0], "no", shard=after[1], precision=precision) == 0
    alone(first, "bert", METHOD, batch=BATCH, precision=precision)
    points = sorted((whole / RUN.path).glob("points/*/model.safetensors"))
    assert len(points) == 3
    for folder in (first, second):
        assert losses(folder) == pytest.approx(losses(whole), abs=bounds[0])
        for path in points:
            found, wanted = load_file(folder / path.relative_to(whole)), load_file(path)
            assert found.keys() == wanted.keys()
            for name, tensor in wanted.items():
                rounding = precision == "float32" and name.endswith("key.bias")
                assert_close(found[name], tensor, rtol=0, atol=UPDATE if rounding else bounds[1])
