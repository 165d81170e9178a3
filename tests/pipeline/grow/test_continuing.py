"""docs/GROW.md: what it says can be done is done, in its order, from the source's training to the target's."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from support.checkpoints import saved
from transformers import AutoModelForCausalLM

from growbench.cli import main as cli

PAGE = Path(__file__).resolve().parents[3] / "docs/GROW.md"
STEP = re.compile(r"```python\n(.*?)```|^    (growbench grow runs/.*?)$", re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_the_page_s_steps_work_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = AutoModelForCausalLM.from_pretrained(saved(tmp_path / "source", "llama"))
    rows = torch.randint(0, 53, (32, 12), generator=torch.Generator().manual_seed(0))
    data = [{"input_ids": row, "labels": row} for row in rows]
    space: dict[str, Any] = {"source": source, "data": data, "batches": rows.split(8), "__name__": "page"}
    steps = STEP.findall(PAGE.read_text(encoding="utf-8"))
    assert len(steps) == 5
    for code, command in steps:
        if command:
            assert cli.main(shlex.split(command)[1:]) == 0
        else:
            exec(code, space)
    assert space["without"] == [] and len(space["losses"]) == 4
    state = space["adam"].state
    assert len(state) == len(list(space["model"].parameters()))
    assert {float(entry["step"]) for entry in state.values()} == {8.0}  # four of the source, four of the plain loop
