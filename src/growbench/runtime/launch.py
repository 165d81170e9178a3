"""Start the processes that train one model together: torchrun's agent, with one line for whatever ends them.

`torchrun --standalone --nproc-per-node N -m growbench pretrain ...` does the same by hand. The agent starts the processes,
passes signals on to them, waits while they keep a checkpoint, and ends all of them when one is lost. A process that fails
leaves a note for the agent instead of printing, so that one fault is one line however many processes meet it.
"""

import ctypes
import json
import logging
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError
from growbench.runtime import interrupt

log = logging.getLogger(__name__)
NOTE = "TORCHELASTIC_ERROR_FILE"  # where the agent looks for the note of a process that failed
GRACE = 100  # seconds that processes get to keep a checkpoint in
LOST = "train.processes: another process of this run has ended; the same command goes on from the last checkpoint"
SIGNALLED = 128
PARENT_DEATH = 1  # prctl's PR_SET_PDEATHSIG


def rank() -> int:
    """This process's number among those that train together; 0 alone."""
    return int(os.environ.get("RANK", "0"))


def threads(configured: int, processes: int = 1) -> int:
    """Return the CPU threads of each process: what the config says, but at most an even share of what SLURM granted.

    An allocation never raises the number: an interactive one is shared by all jobs that run in it at the same time.
    """
    granted = int(os.environ.get("SLURM_CPUS_PER_TASK") or 0)
    return min(configured, max(1, granted // processes)) if granted else configured


def follow() -> None:
    """Let the kernel end this process, one of several, with the one that started it, which cannot end it when it is killed."""
    if "WORLD_SIZE" in os.environ and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH, signal.SIGKILL)


def needed(processes: int) -> bool:
    """Whether a run of so many processes has yet to start them."""
    return processes > 1 and "WORLD_SIZE" not in os.environ


def check_split(batch: int, processes: int, accumulate: int, named: str) -> None:
    """Raise GrowBenchError unless a batch splits evenly. named: the processes, in the words of its line."""
    if batch % (pieces := processes * accumulate):
        raise GrowBenchError(
            f"optimizer.batch: {batch} sequences do not split evenly into {named} x train.accumulate {accumulate}; "
            f"use a multiple of {pieces}"
        )


def note(line: str) -> bool:
    """Leave a note of what ended this process, with the traceback of an unforeseen fault; False where nobody reads it."""
    if NOTE not in os.environ:
        return False
    error = sys.exc_info()[1]
    foreseen = isinstance(error, GrowBenchError | OSError | KeyboardInterrupt)
    trace = "" if error is None or foreseen else traceback.format_exc()
    values = {"message": line, "timestamp": str(int(time.time())), "traceback": trace}
    Path(os.environ[NOTE]).write_text(json.dumps(values), encoding="utf-8")
    return True


def run(processes: int, words: Sequence[str]) -> None:
    """Run `growbench words` in so many processes on this machine, to the end of all.

    Raises GrowBenchError with the line of the process that failed first, and Stopped where a signal ended them.
    """
    from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in [name for name in logging.root.manager.loggerDict if name.startswith("torch.distributed")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what they would say is said in one line below
    with tempfile.TemporaryDirectory(prefix="growbench-") as notes:
        config = LaunchConfig(
            min_nodes=1, max_nodes=1, nproc_per_node=processes, run_id=Path(notes).name, max_restarts=0,
            rdzv_backend="c10d", rdzv_endpoint="localhost:0", local_addr="localhost", monitor_interval=0.1,
            logs_specs=DefaultLogsSpecs(log_dir=notes), shutdown_timeout=GRACE,
        )  # fmt: skip
        try:
            elastic_launch(config, sys.executable)("-m", "growbench", *words)
        except SignalException as error:
            raise interrupt.Stopped(error.sigval) from None
        except ChildFailedError as error:
            raise _fault(error.failures, processes) from None


def _fault(failures: dict[int, Any], processes: int) -> BaseException:
    """What ended the processes: a kill before a fault, a fault before the loss of the others that followed from it."""
    number, first = min(failures.items(), key=lambda item: (item[1].exitcode >= 0, _followed(item[1]), item[0]))
    who = f"process {number} of {processes}"
    if first.exitcode < 0:
        name = signal.Signals(-first.exitcode).name
        return GrowBenchError(f"{who} was ended by {name}; the same command goes on from the last checkpoint")
    if first.exitcode - SIGNALLED in interrupt.SIGNALS:
        return interrupt.Stopped(first.exitcode - SIGNALLED)
    if trace := first.error_file_data.get("traceback"):
        log.error("%s failed\n%s", who, trace)
        return GrowBenchError(f"{who}: {first.message}")
    return GrowBenchError(first.message)


def _followed(failure: Any) -> bool:
    return str(failure.message) == LOST
