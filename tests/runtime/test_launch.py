"""CPU threads: what the config says, and never more than SLURM granted."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from support.tiny import tiny
from support.workflow import ROOT

from growbench.pipeline import attention, forecast
from growbench.pipeline.finetune import run as finetune
from growbench.pipeline.pretrain import run as pretrain
from growbench.pipeline.zeroshot import run as zeroshot
from growbench.runtime import launch

GRANTED = "SLURM_CPUS_PER_TASK"


@pytest.mark.parametrize(
    ("granted", "configured", "processes", "expected"),
    [(None, 4, 1, 4), ("", 4, 1, 4), ("16", 1, 1, 1), ("2", 4, 1, 2), ("8", 4, 4, 2), ("2", 4, 4, 1), ("16", 2, 4, 2)],
)
def test_threads_are_the_smaller_of_config_and_allocation(
    granted: str | None, configured: int, processes: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(GRANTED, raising=False)
    if granted is not None:
        monkeypatch.setenv(GRANTED, granted)
    assert launch.threads(configured, processes) == expected


STEPS = {
    "pretrain": lambda study: pretrain.run(study, "scratch", 0),
    "finetune": lambda study: finetune.run(study, "scratch", [0], ["p100"]),
    "zeroshot": lambda study: zeroshot.run(study, "scratch", [0], ["p100"]),
    "attention": lambda study: attention.run(study, 0),
    "forecast": lambda study: forecast.run(study, timing=True),
}


@pytest.mark.parametrize("step", STEPS)
def test_no_step_takes_a_whole_interactive_allocation(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step sets its threads before it does anything else."""

    class Seen(Exception):
        pass

    def stop(count: int) -> Any:
        raise Seen(count)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(GRANTED, "16")
    monkeypatch.setattr(torch, "set_num_threads", stop)
    with pytest.raises(Seen, match=r"^1$"):
        STEPS[step](tiny(tmp_path))


@pytest.mark.parametrize(("granted", "expected"), [(None, "4"), ("16", "4"), ("2", "2")])
def test_the_corpus_rule_sets_the_tokenizer_s_threads_likewise(granted: str | None, expected: str) -> None:
    text = (ROOT / "workflow/rules/corpus.smk").read_text(encoding="utf-8")
    command = text.partition("shell:")[2]
    line = "".join(part.strip().strip('"') for part in command.strip().splitlines()).partition(" exec ")[0]
    line = line.format(threads=4) + ' echo "$RAYON_NUM_THREADS"'
    environment = {k: v for k, v in os.environ.items() if k != GRANTED} | ({GRANTED: granted} if granted else {})
    done = subprocess.run(["bash", "-euc", line], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == expected
