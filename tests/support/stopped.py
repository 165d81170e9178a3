"""A run of several processes that is killed while it writes a checkpoint: test_saver.py starts this file with torchrun.

`seal` kills the first process when all parts are written, `part` the last process in the middle of its own part, `no` nobody.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from support.together import study

from growbench.pipeline.pretrain import run as pretrain
from growbench.runtime import durable
from growbench.train.processes import ranks
from growbench.train.processes.ranks import Ranks
from growbench.train.processes.saver import Writer

METHOD, BATCH, WRITTEN = "mslt", 12, 5  # checkpoints that are complete before the kill


def dies(honest: Callable[..., Any], place: Callable[..., Path]) -> Callable[..., Any]:
    """Return a function that leaves half a file and kills this process at its call number WRITTEN + 1."""
    calls = []

    def called(*given: Any) -> Any:
        calls.append(given)
        if len(calls) > WRITTEN:
            place(*given).write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        return honest(*given)

    return called


def prepare(death: str, together: Ranks) -> None:
    if death == "seal" and together.first:
        durable._seal = dies(durable._seal, lambda made: made / durable.SEAL)
    if death == "part" and together.rank == together.count - 1:
        Writer.write_data = dies(Writer.write_data, lambda writer, *_: Path(writer.path) / "shard.safetensors")


def main(folder: Path, death: str, train: dict[str, Any]) -> None:
    os.chdir(folder)
    with ranks.joined(batch=BATCH, accumulate=1, device=torch.device("cpu")) as together:
        prepare(death, together)
        made = together.in_turn(partial(study, "bert", batch=BATCH, **train))
        pretrain.Run(made, METHOD, 0, together).execute()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))
