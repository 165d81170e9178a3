"""One process at a time where files are written: a lock that a process holds as long as it lives, and no longer."""

import contextlib
import datetime
import errno
import json
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from growbench.errors import GrowBenchError
from growbench.runtime.durable import no_link, refuse_links, writing

log = logging.getLogger(__name__)
PATIENCE = 20.0  # seconds: a process that was told to stop saves its checkpoint first
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock file `path` while this lasts. The file says who holds it, and is removed at the end.

    The system releases the lock when its holder dies, however it dies. Raises GrowBenchError, naming the holder, if
    another process still holds the lock after PATIENCE seconds. A symbolic link at `path`, or below the first
    folder of a relative path, is refused, not followed.
    """
    refuse_links(path)
    lock = FileLock(path, fallback_to_soft=False)
    with writing(path):
        if path.parent.is_file():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        _acquire(lock, path)
    try:
        with writing(path):
            _sign(path)
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()  # while the lock is held: nobody else can have signed the file
        lock.release()


def _acquire(lock: FileLock, path: Path) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.info("%s: in use by %s; waiting up to %.0f s for it to end", path.parent, _holder(path), PATIENCE)
        try:
            lock.acquire(timeout=PATIENCE)
        except Timeout:
            raise GrowBenchError(
                f"{path.parent}: in use by {_holder(path)}; wait until it has ended, or end it"
            ) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        log.warning("%s: this file system has no locks; make sure that no other process works there", path.parent)


def _sign(path: Path) -> None:
    # Some shared file systems grant the lock to one process on each node. Then the signature is all there is to go by,
    # and nothing here shows whether a process on another node is still alive.
    left, host = _signature(path), socket.gethostname()
    if left and left.get("host") != host:
        log.warning("%s: %s left its lock behind; make sure that it has ended", path.parent, _named(left))
    began = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    own = {"host": host, "pid": os.getpid(), "began": began, "job": os.environ.get("SLURM_JOB_ID")}
    with open(path, "w", encoding="utf-8", opener=no_link) as handle:
        handle.write(json.dumps(own))


def _signature(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _holder(path: Path) -> str:
    signed = _signature(path)
    return _named(signed) if signed else "another process"


def _named(signed: dict[str, Any]) -> str:
    job = f" (SLURM job {signed['job']})" if signed.get("job") else ""
    return f"process {signed.get('pid')}{job} on {signed.get('host')}, since {signed.get('began')}"
