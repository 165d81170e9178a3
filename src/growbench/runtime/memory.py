"""Keep freed memory for the next tensor. By default glibc returns it to the system and fetches it again, page by page."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

# Constants of glibc's malloc.h. Its defaults adapt to what a program frees: these are their final values.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
DEFAULTS = {M_MMAP_MAX: 1 << 16, M_MMAP_THRESHOLD: 1 << 25, M_TRIM_THRESHOLD: 1 << 26}
REUSE = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 1 << 30}


@contextmanager
def reuse_freed_memory() -> Iterator[None]:
    """Keep freed memory in the process in this context. Does nothing with a C library other than glibc."""
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
