"""Runs that two processes train: tests/train/processes/test_ranks.py starts this file with torchrun.

Each case has a folder of its own. A source or a checkpoint that is already in it is used. A halted case is stopped, as by
a crash, after HALT steps, copied to CONTINUED, and started again.
"""

import dataclasses
import errno
import json
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from support.tiny import ALWAYS, ROOT, tiny

from growbench.errors import GrowBenchError
from growbench.pipeline.pretrain import run as pretrain
from growbench.train.loop import Trainer
from growbench.train.processes import ranks
from growbench.train.processes.ranks import Ranks
from growbench.train.processes.saver import Saver, Writer

STEPS, BATCH, HALT = 20, 4, 13
CASES: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    "shared": ("bert", ("source", "msg", "mslt", "compoundgrow", "ligo"), {"accumulate": 2}),
    "split": ("bert", ("msg", "mslt"), {"shard": "always"}),
    "decoder": ("gpt2", ("stackbert",), {"shard": "always"}),
    "dropped": ("bert", ("scratch",), {"dropout": 0.2}),
    "resumed": ("bert", ("mslt",), {}),
    "halted": ("bert", ("mslt",), {"shard": "always", "checkpoint_seconds": ALWAYS}),
}
CONTINUED, REFUSED = "continued", "refused"
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node")
PLACES = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")]), "OMP_NUM_THREADS": "1"}


class Halted(Exception):
    """A step that is not taken."""


def study(family: str, batch: int = BATCH, **train: Any) -> Any:
    """A tiny study in float64, in the working directory."""
    made = tiny(Path.cwd(), family=family, steps=STEPS, **({"ligo": {"steps": 4}} if family == "bert" else {}))
    chosen = {"precision": "float64", "checkpoint_seconds": 3600.0, **train}
    made = dataclasses.replace(made, optimizer=dataclasses.replace(made.optimizer, batch=batch))
    return dataclasses.replace(made, train=dataclasses.replace(made.train, **chosen))


def alone(folder: Path, family: str, *names: str, **changes: Any) -> Path:
    """Train methods with one process in a folder, and return it."""
    folder.mkdir(exist_ok=True)
    before = Path.cwd()
    os.chdir(folder)
    try:
        for name in names:
            pretrain.run(study(family, **changes), name, 0)
    finally:
        os.chdir(before)
    return folder


def watched(at: int, how: Callable[[], None]) -> list[int]:
    """Call `how` before the step of this number in a list that is returned: the steps taken, from 1. 0 never calls it."""
    taken, honest = [], Trainer.step

    def step(self: Trainer, number: int, lr: float) -> Any:
        taken.append(number)
        if len(taken) == at:
            how()
        return honest(self, number, lr)

    Trainer.step = step
    return taken


def main(folder: Path) -> None:
    with ranks.joined(batch=BATCH, accumulate=1, device=torch.device("cpu")) as together:
        for case in CASES:
            os.chdir(folder / case)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Trainer, "step", Trainer.step)
                if case == "halted":
                    _halt(together)
                _train(case, together)
        os.chdir(folder / REFUSED)
        Path(f"{together.rank}.txt").write_text(_refused(together))


def _train(case: str, together: Ranks) -> None:
    family, names, train = CASES[case]
    taken = watched(0, lambda: None)
    for name in names:
        made = together.in_turn(partial(study, family, **train))  # the first process writes the corpus
        run = pretrain.Run(made, name, 0, together)
        run.execute()
        assert _split(run.trainer) == (train.get("shard") == "always"), case
        together.wait()
    if together.first:
        Path("taken.json").write_text(json.dumps(taken))


def _halt(together: Ranks) -> None:
    def stop() -> None:
        raise Halted

    with pytest.MonkeyPatch.context() as patch, suppress(Halted):
        patch.setattr(Trainer, "step", Trainer.step)
        watched(HALT + 1, stop)
        _train("halted", together)
    if together.first:
        shutil.copytree(".", f"../{CONTINUED}")
    together.wait()


def _refused(together: Ranks) -> str:
    """Return what is said if the disk of the second process is full when it writes its second checkpoint."""
    saver = Saver(Path("state"), together)
    saver.save({"model/a": torch.ones(3)}, {"step": 1})
    saver.settle()

    def full(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch:
        if not together.first:
            patch.setattr(Writer, "write_data", full)
        saver.save({"model/a": torch.zeros(3)}, {"step": 2})
        try:
            saver.settle()
        except GrowBenchError as error:
            return str(error)
    return ""


def _split(trainer: Trainer) -> bool:
    """Return whether every weight matrix is split over the processes."""
    return all(hasattr(p, "full_tensor") for p in trainer.model.parameters() if p.dim() > 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
