"""Start the processes that train one model together, by torchrun's agent, and report in one line why they ended.

`torchrun --standalone --nproc-per-node N -m growbench pretrain ...` does the same by hand. The agent starts the processes,
passes signals on to them, waits while they save a checkpoint, and stops all of them if one is lost. A process that fails
leaves a note for the agent instead of printing, so that a fault is one line however many processes it occurs in.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError
from growbench.runtime import interrupt

log = logging.getLogger(__name__)
NOTE = "TORCHELASTIC_ERROR_FILE"  # where the agent looks for the note of a process that failed
GRACE = 100  # seconds that processes get to save a checkpoint
LOST = "train.processes: another process of this run has ended; run the same command to resume"
SIGNALLED = 128
PARENT_DEATH = 1  # prctl's PR_SET_PDEATHSIG


class Lost(GrowBenchError):
    """A process of the run was killed; the same command resumes the run."""


@dataclass(frozen=True, slots=True)
class Party:
    """The agents, one on each node, that start the processes of one run.

    nodes: how many. endpoint: host:port where they meet. address: of this node, as the others reach it. hosts: whether this
    agent keeps the place where they meet; None if it is to find out.
    """

    nodes: int = 1
    endpoint: str = "localhost:0"
    address: str = "localhost"
    hosts: bool | None = None


def rank() -> int:
    """This process's number among those that train together; 0 alone."""
    return int(os.environ.get("RANK", "0"))


def beside() -> int:
    """The number of this run's processes on this machine, this one included."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def threads(configured: int, processes: int = 1) -> int:
    """Return the CPU threads of each process: what the config says, but at most an even share of what SLURM granted.

    An allocation never raises the number: an interactive one is shared by all jobs that run in it at the same time.
    """
    granted = int(os.environ.get("SLURM_CPUS_PER_TASK") or 0)
    return min(configured, max(1, granted // processes)) if granted else configured


def tokenizing() -> int:
    """Return how many processes may tokenize at the same time: as many as the tokenizers library may have threads."""
    return int(os.environ.get("RAYON_NUM_THREADS") or os.cpu_count() or 1)


def follow() -> None:
    """Tie this process to the process that started it if it is one of several that train together."""
    if "WORLD_SIZE" in os.environ:
        tie()


def tie() -> None:
    """Have the kernel end this process when the process that started it ends, even by SIGKILL."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH, signal.SIGKILL)


def needed(processes: int) -> bool:
    """Whether a run of this many processes still has to start them."""
    return processes > 1 and "WORLD_SIZE" not in os.environ


def check_split(batch: int, processes: int, accumulate: int, named: str) -> None:
    """Raise GrowBenchError unless a batch splits evenly. named: how the message calls the processes."""
    if batch % (pieces := processes * accumulate):
        raise GrowBenchError(
            f"optimizer.batch: {batch} sequences do not split evenly into {named} x train.accumulate {accumulate}; "
            f"use a multiple of {pieces}"
        )


def note(line: str) -> bool:
    """Leave the agent a note of why this process ended, with the traceback of an unexpected error. False without an agent."""
    if NOTE not in os.environ:
        return False
    error = sys.exc_info()[1]
    expected = isinstance(error, GrowBenchError | OSError | KeyboardInterrupt)
    trace = "" if error is None or expected else traceback.format_exc()
    values = {"message": line, "timestamp": str(int(time.time())), "traceback": trace}
    Path(os.environ[NOTE]).write_text(json.dumps(values), encoding="utf-8")
    return True


def run(processes: int, words: Sequence[str], party: Party = Party()) -> None:
    """Run `growbench words` in this many processes on this machine and wait for all of them.

    party: the agents that do the same on other nodes, if there are any. Raises GrowBenchError with the line of the process that
    failed first, and Stopped if a signal ended them.
    """
    from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in [name for name in logging.root.manager.loggerDict if name.startswith("torch.distributed")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # one line below reports it
    with tempfile.TemporaryDirectory(prefix="growbench-") as notes:
        config = LaunchConfig(
            min_nodes=party.nodes, max_nodes=party.nodes, nproc_per_node=processes, run_id="growbench", max_restarts=0,
            rdzv_backend="c10d", rdzv_endpoint=party.endpoint, local_addr=party.address, monitor_interval=0.1,
            rdzv_configs={} if party.hosts is None else {"is_host": party.hosts},
            logs_specs=DefaultLogsSpecs(log_dir=notes), shutdown_timeout=GRACE,
        )  # fmt: skip
        try:
            elastic_launch(config, sys.executable)("-m", "growbench", *words)
        except SignalException as error:
            raise interrupt.Stopped(error.sigval) from None
        except ChildFailedError as error:
            raise _fault(error.failures, party.nodes * processes) from None


def _fault(failures: dict[int, Any], processes: int) -> BaseException:
    """Return what ended the processes: a kill comes before an error, an error before the losses that followed from it."""
    number, first = min(failures.items(), key=lambda item: (item[1].exitcode >= 0, _followed(item[1]), item[0]))
    who = f"process {number} of {processes}"
    if first.exitcode < 0:
        name = signal.Signals(-first.exitcode).name
        return Lost(f"{who} was killed by {name}; run the same command to resume")
    if first.exitcode - SIGNALLED in interrupt.SIGNALS:
        return interrupt.Stopped(first.exitcode - SIGNALLED)
    if trace := first.error_file_data.get("traceback"):
        log.error("%s failed", who)
        for line in trace.splitlines():
            log.error("%s", line)
        return GrowBenchError(f"{who}: {first.message}")
    return GrowBenchError(first.message)


def _followed(failure: Any) -> bool:
    return str(failure.message) == LOST
