"""One process at a time where files are written: a lock that a process holds for as long as it lives, and no longer."""

import contextlib
import datetime
import errno
import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError
from growbench.runtime.durable import writing

log = logging.getLogger(__name__)
PATIENCE = 20.0  # seconds: one that was told to end keeps its checkpoint first
POLL = 0.2


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock in the file `path` while this lasts; the file says who holds it, and goes with the lock.

    The system lets go of a lock when its holder dies, however it dies. Raises GrowBenchError, naming the holder, where
    another process still has it after PATIENCE seconds.
    """
    descriptor = _take(path)
    try:
        _sign(descriptor, path)
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)


def _take(path: Path) -> int:
    patient = time.monotonic() + PATIENCE
    said = False
    while True:
        with writing(path):
            if path.parent.is_file():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if _locked(descriptor, path):
            if _same(descriptor, path):
                return descriptor
            os.close(descriptor)  # its holder took the file away between our two calls
            continue
        words = _holder(descriptor)
        os.close(descriptor)
        if time.monotonic() > patient:
            raise GrowBenchError(f"{path.parent}: {words} works here; wait until it has ended, or end it")
        if not said:
            log.info("%s: %s works here; waiting up to %.0f s for it to end", path.parent, words, PATIENCE)
            said = True
        time.sleep(POLL)


def _locked(descriptor: int, path: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
            raise
        log.warning("%s: this file system has no locks; see that no other process works there", path.parent)
    return True


def _same(descriptor: int, path: Path) -> bool:
    """Whether the file that is open is still the one at `path`."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _sign(descriptor: int, path: Path) -> None:
    # Some shared file systems grant a flock to one process on each node. What the file says is then all there is to go by,
    # and whether a process on another node still lives cannot be seen from here.
    own = _own()
    left = _signed(descriptor)
    if left and left.get("host") != own["host"]:
        log.warning("%s: %s did not say that it ended; see that it has", path.parent, _named(left))
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(own).encode(), 0)


def _own() -> dict[str, Any]:
    began = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return {"host": socket.gethostname(), "pid": os.getpid(), "began": began, "job": os.environ.get("SLURM_JOB_ID")}


def _signed(descriptor: int) -> dict[str, Any]:
    try:
        return dict(json.loads(os.pread(descriptor, 4096, 0)))
    except (ValueError, TypeError):
        return {}


def _holder(descriptor: int) -> str:
    signed = _signed(descriptor)
    return _named(signed) if signed else "another process"


def _named(signed: dict[str, Any]) -> str:
    job = f" (SLURM job {signed['job']})" if signed.get("job") else ""
    return f"process {signed.get('pid')}{job} on {signed.get('host')}, since {signed.get('began')},"
