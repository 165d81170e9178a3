"""End a process at its n-th operation on files below a folder, for every n: not by luck, by Python's audit events.

Events come before the operation: ending there leaves everything before it done and nothing after it. Writes into a file that is
open are not events; every file is opened under a temporary name and renamed, so what matters lies between the events.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from fuzz.child import KILLED

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
FIRST_PATH = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod")


def killing(folder: Path, number: int | None, log: Path | None = None) -> Callable[[], None]:
    """Return what a child calls first: it ends at its `number`-th operation, counted from 1 (None: never).

    log: a file outside the folder, to which each operation is written.
    """

    def hook() -> None:
        seen, root = [0], str(folder.resolve())
        record = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) if log is not None else None

        def audit(event: str, args: tuple[object, ...]) -> None:
            path = _touched(event, args)
            if path is None or not (path == root or path.startswith(root + os.sep)):
                return
            seen[0] += 1
            if record is not None:
                os.write(record, f"{event} {path[len(root) + 1 :]}\n".encode())
            if seen[0] == number:
                os._exit(KILLED)

        sys.addaudithook(audit)

    return hook


def _touched(event: str, args: tuple[object, ...]) -> str | None:
    """Return the absolute path that an event is about to change; None for other events."""
    if event == "open":
        path, _, flags = args
        if not isinstance(flags, int) or not flags & WRITES or not isinstance(path, str | bytes):
            return None
        return os.path.abspath(os.fsdecode(path))
    if event in FIRST_PATH and isinstance(args[0], str | bytes | os.PathLike):
        name, folder = os.fsdecode(args[0]), args[1] if event in ("os.remove", "os.rmdir") and len(args) > 1 else -1
        if isinstance(folder, int) and folder >= 0 and not os.path.isabs(name):
            return os.path.join(os.readlink(f"/proc/self/fd/{folder}"), name)
        return os.path.abspath(name)
    return None
