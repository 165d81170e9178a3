"""Start one run's processes on several nodes of a SLURM allocation, and start them again if one of them is lost.

srun starts the command once on each node. There it is an agent, as torchrun's: it starts the processes of its node
(launch.py). The agents meet at a store that the first command keeps, and leave there why they ended. Without an allocation
of several nodes, all processes start on this machine.
"""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from growbench.errors import GrowBenchError
from growbench.runtime import interrupt, launch

log = logging.getLogger(__name__)
STORE = "GROWBENCH_STORE"  # port of the store, in the environment of an agent
RESTARTS = 3  # times that a job starts its processes again after one of them was killed
PATIENCE = 180  # seconds until srun has the nodes: a process that is killed leaves them later
ORDER = ("lost", "error", "stopped", "followed")  # which of several faults is the cause


def run(nodes: int, processes: int, threads: int, words: Sequence[str]) -> None:
    """Run `growbench words` in `processes` processes on each node, or as many on fewer nodes, and wait for all of them.

    threads: CPU threads of a process. Raises GrowBenchError with the line of the process that failed first, and Stopped if a
    signal ended them.
    """
    if STORE in os.environ:
        _take_part(*_spread(nodes, processes, int(os.environ.get("SLURM_STEP_NUM_NODES", nodes))), words)
    elif nodes > 1 and (granted := _allocated(nodes)) > 1:
        there, _ = _spread(nodes, processes, granted)
        _lead(there, processes, threads, words)  # a node has the CPUs that were asked for, not more
    else:
        launch.run(nodes * processes, words)


def _spread(nodes: int, processes: int, granted: int) -> tuple[int, int]:
    """Return how many nodes there are, and how many processes each of them starts, so that as many as wanted run in all."""
    there, whole = min(nodes, granted), nodes * processes
    if whole % there:
        raise GrowBenchError(
            f"train.nodes: {nodes} x train.processes {processes} do not split evenly over the {there} nodes of this job; "
            f"ask for {nodes} nodes, or change train.nodes"
        )
    return there, whole // there


def _allocated(wanted: int) -> int:
    """Return how many nodes SLURM granted; 1 without SLURM.

    Snakemake's plugin hides the number from its jobs, which then ask SLURM: a requeued job may have got fewer than it asked
    for. Without an answer it is taken to have what is wanted.
    """
    if (job := os.environ.get("SLURM_JOB_ID")) is None:
        return 1
    granted = os.environ.get("SLURM_JOB_NUM_NODES", "")
    if not granted:
        with suppress(OSError):
            asked = ("squeue", "--noheader", "--format=%D", f"--jobs={job}")
            granted = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    return int(granted) if granted.isdecimal() else wanted


def _lead(nodes: int, processes: int, threads: int, words: Sequence[str]) -> None:
    """Start the agents, and again from the last checkpoint if a process was killed."""
    for left in reversed(range(RESTARTS + 1)):
        try:
            return _step(nodes, launch.threads(processes * threads), words)
        except launch.Lost as error:
            if not left:
                raise
            log.warning("%s; starting all processes again", str(error).partition(";")[0])
    raise AssertionError


def _step(nodes: int, cpus: int, words: Sequence[str]) -> None:
    """Run the agents as one step of the job. cpus: of each."""
    from torch.distributed import TCPStore

    store = TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
    srun = (
        "srun", "--quiet", "--disable-status", "--mpi=none", "--overlap", "--kill-on-bad-exit=1", f"--immediate={PATIENCE}",
        f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", f"--cpus-per-task={cpus}",
    )  # fmt: skip
    command, environment = (*srun, sys.executable, "-m", "growbench", *words), {**os.environ, STORE: str(store.port)}
    try:
        process = subprocess.Popen(command, env=environment, start_new_session=True, stdin=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise GrowBenchError(f"train.nodes: {nodes} in a SLURM job, but there is no srun; add it to PATH") from error
    with _ended(process):
        status = process.wait()
    faults = [json.loads(store.get(key)) for node in range(nodes) if store.check([key := f"fault/{node}"])]
    if faults:
        raise _raised(min(faults, key=lambda fault: ORDER.index(fault["kind"])))
    if status:
        raise GrowBenchError(f"train.nodes: srun ended with status {status}; run the same command to resume")


@contextmanager
def _ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """If a signal comes meanwhile, pass it on as srun's Ctrl-C, and wait while the processes save a checkpoint."""
    try:
        yield
    except BaseException:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(launch.GRACE)
        process.kill()
        process.wait()
        raise


def _take_part(nodes: int, processes: int, words: Sequence[str]) -> None:
    """Start the processes of this node; leave the first command a note if they fail."""
    from torch.distributed import TCPStore

    host, port = os.environ["SLURM_LAUNCH_NODE_IPADDR"], int(os.environ.pop(STORE))
    store = TCPStore(host, port, is_master=False)
    try:
        launch.run(processes, words, launch.Party(nodes, f"{host}:{port}", _address(host, port), hosts=False))
    except (GrowBenchError, interrupt.Stopped) as error:
        store.set(f"fault/{os.environ['SLURM_NODEID']}", json.dumps(_noted(error)))
        raise SystemExit(2 if isinstance(error, GrowBenchError) else launch.SIGNALLED + error.signal) from None


def _address(host: str, port: int) -> str:
    """Return the address by which this machine reaches another, so that others reach it by the same network."""
    family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as found:
        found.connect(place)  # nothing is sent
        return str(found.getsockname()[0])


def _noted(error: BaseException) -> dict[str, Any]:
    if isinstance(error, interrupt.Stopped):
        return {"kind": "stopped", "signal": int(error.signal)}
    followed = "followed" if str(error) == launch.LOST else "error"
    return {"kind": "lost" if isinstance(error, launch.Lost) else followed, "line": str(error)}


def _raised(fault: dict[str, Any]) -> BaseException:
    if fault["kind"] == "stopped":
        return interrupt.Stopped(fault["signal"])
    return (launch.Lost if fault["kind"] == "lost" else GrowBenchError)(fault["line"])
