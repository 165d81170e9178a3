"""A process that has imported the libraries of training, and forks one for each job of a workflow on this machine.

The Snakefile offers it. `python -m growbench VERB` hands its command over, waits, and ends as the job ended. The first
job that needs the process starts it. A job that is not handed over runs in its own process, as it does without an offer.

A forked process is what a fresh one would be: the address of a warm process is a digest of all that a process inherits
(environment, folder, limits, umask, CPUs, signals and the like), so a job that differs in any of it starts another one.
Nothing of growbench is imported before the fork; an edited file counts from the next job on. Addresses are abstract
sockets (unix(7)): no files, nothing is left behind. Linux only.
"""

import ctypes
import gc
import hashlib
import importlib
import io
import json
import os
import runpy
import secrets
import select
import signal
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

OFFER, NO = "GROWBENCH_WARM", "no"  # a workflow's process and a random word; `no` by the user: no warm process
VERBS = ("pretrain", "search", "finetune", "zeroshot", "attention")  # those that import torch
LIBRARIES = (
    "torch", "torch.distributed.fsdp", "transformers.masking_utils", "transformers.generation.utils",
    "transformers.processing_utils", "transformers.models.auto.modeling_auto", "scipy.stats", "pydantic", "ruamel.yaml",
)  # fmt: skip
GPUS = ("/dev/nvidiactl", "/dev/kfd")  # not tried beside one: a process must not fork after it has asked for a GPU
STATUS = (
    "Umask", "Uid", "Gid", "Groups", "SigBlk", "SigIgn", "CapEff", "NoNewPrivs", "Seccomp:", "Cpus_allowed:",
    "Mems_allowed:",
)  # fmt: skip
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
MESSAGE = 1 << 20  # bytes
TAKEN = b"taken"
PARENT_DEATH = 1  # prctl's PR_SET_PDEATHSIG


def offer() -> None:
    """Offer the commands that this process starts a warm process, which ends with this one."""
    if os.environ.get(OFFER) != NO and sys.platform == "linux" and not any(map(os.path.exists, GPUS)):
        os.environ[OFFER] = f"{os.getpid()}-{secrets.token_hex(16)}"


def run() -> None:
    """Have a warm process run this process's command, and end as the job ends. Returns if the caller is to run it itself."""
    offered = os.environ.pop(OFFER, NO)
    if offered == NO or sys.orig_argv[1:4] not in [["-m", "growbench", verb] for verb in VERBS]:
        return
    early: list[int] = []
    handlers = {number: signal.getsignal(number) for number in PASSED_ON}
    try:
        link = _connected(offered)
        socket.send_fds(link, [json.dumps(sys.argv).encode()], [0, 1, 2])

        def pass_on(number: int, frame: FrameType | None) -> None:
            early.append(number)
            with suppress(OSError):
                link.send(bytes([number]))

        for number in [number for number, handler in handlers.items() if handler is not signal.SIG_IGN]:
            signal.signal(number, pass_on)
        if link.recv(MESSAGE) != TAKEN:
            raise ConnectionResetError
    except OSError:  # no warm process, or it has ended before it took the job
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for passed in early:
            os.kill(os.getpid(), passed)
    else:
        _end(link)


def _connected(offered: str) -> socket.socket:
    """Return a connection to the warm process for this process's job; start it if there is none."""
    address = f"\0growbench-{hashlib.sha256(f'{offered} {_inherited()}'.encode()).hexdigest()}"
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        link.connect(address)
    except ConnectionRefusedError:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(address)
            listener.listen()
            words = [sys.executable, "-m", __name__, offered.partition("-")[0]]
            null = subprocess.DEVNULL
            subprocess.Popen(words, stdin=listener.fileno(), stdout=null, stderr=null, start_new_session=True)
        link.connect(address)
    if _owner(link) != os.getuid():
        raise PermissionError(address)
    return link


def _inherited() -> str:
    """Return all that a process inherits from the one that starts it, as far as it can matter to a job."""
    own = Path("/proc/self")
    status = [line for line in (own / "status").read_text().splitlines() if line.startswith(STATUS)]
    others = [(own / name).read_text() for name in ("limits", "cgroup", "oom_score_adj")]
    where = [sys.executable, os.getcwd(), os.readlink(own / "ns/mnt"), os.getpriority(os.PRIO_PROCESS, 0)]
    return json.dumps([where, status, others, sorted(os.environ.items())])


def _owner(link: socket.socket) -> int:
    """Return the user of the process at the other end."""
    return int(struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))[1])


def _end(link: socket.socket) -> NoReturn:
    """Wait for the job's exit status, and end with it; by a signal if one ended the job."""
    try:
        answer = link.recv(MESSAGE)
    except OSError:
        answer = b""
    status = int(answer or -signal.SIGKILL)  # no answer: what watches the job was killed, and the job with it
    if status >= 0:
        sys.exit(status)
    if -status not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
    sys.exit(128 - status)  # a signal that is blocked


def serve(workflow: int) -> None:
    """Take jobs from the listening socket on stdin as long as the process `workflow` lives. Returns in a job's own process."""
    ending = os.pidfd_open(workflow)
    listener = socket.socket(fileno=os.dup(0))
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    for name in LIBRARIES:
        importlib.import_module(name)
        if select.select([ending], [], [], 0)[0]:
            os._exit(0)
    gc.collect()
    gc.freeze()  # the forks do not copy what they do not change
    while ending not in select.select([listener.fileno(), ending], [], [])[0]:
        link = listener.accept()[0]
        if _owner(link) == os.getuid() and not os.fork():
            listener.close()
            os.close(ending)
            return _take(link)
        link.close()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    os._exit(0)


def _take(link: socket.socket) -> None:
    """Fork the job that a client sends and watch it. Returns in the job's process."""
    words, streams, *_ = socket.recv_fds(link, MESSAGE, 3)
    if len(streams) < 3:  # the client has ended
        os._exit(1)
    watcher = os.getpid()
    job = os.fork()
    if not job:
        link.close()
        return _begin(json.loads(words), streams, watcher)
    try:
        _watch(link, job)
    finally:
        os._exit(0)


def _begin(words: list[str], streams: list[int], watcher: int) -> None:
    """Make this process a job with this command line and these streams. The kernel ends it when its watcher ends."""
    import numpy

    ctypes.CDLL(None).prctl(PARENT_DEATH, signal.SIGKILL)
    if os.getppid() != watcher:
        os._exit(1)
    for own, stream in enumerate(streams):
        os.dup2(stream, own)
        os.close(stream)
    sys.argv = words
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())
    numpy.random.seed()
    importlib.invalidate_caches()


def _watch(link: socket.socket, job: int) -> None:
    """Pass signals on to a job, end it when its client has ended, and tell the client how it ended."""
    end, sources = os.pidfd_open(job), [link.fileno()]
    with suppress(OSError):
        link.send(TAKEN)
    while end not in select.select([end, *sources], [], [])[0]:
        try:
            number = link.recv(1)
        except OSError:
            number = b""
        signal.pidfd_send_signal(end, number[0] if number else signal.SIGKILL)
        sources = [link.fileno()] if number else []
    with suppress(OSError):
        link.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]))


if __name__ == "__main__":
    serve(int(sys.argv[1]))
    runpy.run_module("growbench", run_name="__main__", alter_sys=True)
