"""Runs that two processes train: tests/train/processes/test_ranks.py starts this file with torchrun.

Each case has a folder of its own. A source or a checkpoint that is already in it is used.
"""

import dataclasses
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from support.tiny import tiny

from growbench.pipeline.pretrain import run as pretrain
from growbench.train.loop import Trainer
from growbench.train.processes import ranks

STEPS = 20
CASES: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    "shared": ("bert", ("source", "msg", "mslt", "compoundgrow"), {"accumulate": 2}),
    "split": ("bert", ("msg", "mslt"), {"shard": "always"}),
    "decoder": ("gpt2", ("stackbert",), {"shard": "always"}),
    "dropped": ("bert", ("scratch",), {"dropout": 0.2}),
    "resumed": ("bert", ("mslt",), {}),
}


def study(family: str, **train: Any) -> Any:
    """A tiny study in float64, in the working directory."""
    made = tiny(Path.cwd(), family=family, steps=STEPS)
    chosen = {"precision": "float64", "checkpoint_seconds": 3600.0, **train}
    return dataclasses.replace(made, train=dataclasses.replace(made.train, **chosen))


def main(folder: Path) -> None:
    taken, honest = [], Trainer.step

    def step(self: Trainer, number: int, lr: float) -> Any:
        taken.append(number)
        return honest(self, number, lr)

    Trainer.step = step
    with ranks.joined(batch=4, accumulate=1, device=torch.device("cpu")) as together:
        for case, (family, names, train) in CASES.items():
            os.chdir(folder / case)
            for name in names:
                made = together.in_turn(partial(study, family, **train))  # the first process writes the corpus
                run = pretrain.Run(made, name, 0, together)
                run.execute()
                assert _split(run.trainer) == (train.get("shard") == "always"), case
                together.wait()
            if together.first:
                Path("taken.json").write_text(json.dumps(taken))
            taken.clear()


def _split(trainer: Trainer) -> bool:
    """Return whether every weight matrix is split over the processes."""
    return all(hasattr(p, "full_tensor") for p in trainer.model.parameters() if p.dim() > 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
