"""Memory: how much is free, how much was used, and how freed memory is kept for the next tensor."""

import ctypes
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

# Constants of glibc's malloc.h. Its defaults adapt to what a program frees: these are their final values.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
DEFAULTS = {M_MMAP_MAX: 1 << 16, M_MMAP_THRESHOLD: 1 << 25, M_TRIM_THRESHOLD: 1 << 26}
REUSE = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 1 << 30}
OWN_GROUP, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def available() -> int:
    """Return the bytes of memory that this process may still take: the machine's, and its control group's (a job's limit)."""
    return min([int(psutil.virtual_memory().available), *_left_in_groups()])


def peak() -> int:
    """Return the most bytes of memory that this process has had at once."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _left_in_groups() -> list[int]:
    """Return what the control groups of this process leave of their limits; empty without limits, or without groups."""
    left = []
    with suppress(OSError, ValueError):
        lines = OWN_GROUP.read_text().splitlines()
        place = next((line[3:] for line in lines if line.startswith("0::")), "/")
        group = GROUPS / place.strip("/")
        for folder in [group, *group.parents]:
            if folder == GROUPS.parent:
                break
            with suppress(OSError, ValueError):  # no limit, or not this folder's
                limit = int((folder / "memory.max").read_text())
                used = int((folder / "memory.current").read_text())
                cached = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
                left.append(max(0, limit - used + int(cached.get("inactive_file", 0))))
    return left


@contextmanager
def reuse_freed_memory() -> Iterator[None]:
    """Keep freed memory in the process in this context. By default glibc returns it and fetches it again, page by page.

    Does nothing with a C library other than glibc.
    """
    libc = _glibc()
    _set(libc, REUSE)
    try:
        yield
    finally:
        _set(libc, DEFAULTS)
        if libc is not None:
            libc.malloc_trim(0)


def _set(libc: ctypes.CDLL | None, values: dict[int, int]) -> None:
    if libc is not None:
        for key, value in values.items():
            libc.mallopt(key, value)


def _glibc() -> ctypes.CDLL | None:
    try:
        libc = ctypes.CDLL(None)
        return libc if libc.mallopt and libc.malloc_trim else None
    except (OSError, AttributeError, TypeError):
        return None
