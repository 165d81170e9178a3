"""Freed memory serves the next tensor, where glibc would give it back to the system and fetch it again, page by page."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

# glibc's malloc.h. The defaults move with what a program frees; these are where they end, and once set they stay.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
DEFAULTS = {M_MMAP_MAX: 1 << 16, M_MMAP_THRESHOLD: 1 << 25, M_TRIM_THRESHOLD: 1 << 26}
KEPT = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 1 << 30}


@contextmanager
def reuse_freed_memory() -> Iterator[None]:
    """Let freed memory serve the next tensor; other C libraries than glibc are left as they are."""
    libc = _glibc()
    _set(libc, KEPT)
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
