"""SIGTERM and SIGINT (Ctrl-C): stop at once, or as soon as a checkpoint is saved.

A verb stops at once, by an exception: no file of it gets its final name before it is complete. Inside deferred() a signal
is only noted: training checks for one after each step, saves a checkpoint, and stops.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(KeyboardInterrupt):
    """A signal stopped the work. A KeyboardInterrupt, because libraries clean up after those and do not swallow them."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)


class _Seen:
    """The state of signal handling.

    number: the first signal that arrived, None before.
    depth: how many deferred() contexts are open.
    """

    number: int | None = None
    depth: int = 0


def _handle(number: int, frame: FrameType | None) -> None:
    if _Seen.number is None:
        _Seen.number = number
        if not _Seen.depth:
            raise Stopped(number)


@contextmanager
def handled() -> Iterator[None]:
    """Turn SIGTERM and SIGINT into Stopped in this context. A signal that the parent process set to ignored stays ignored.

    Only the main thread may do this. A second signal has no effect: the first one is already being handled.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}
    before = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, _handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _Seen.number = None


@contextmanager
def deferred() -> Iterator[None]:
    """Hold signals back: the work inside asks wanted(), saves its state, and calls check()."""
    _Seen.depth += 1
    try:
        yield
    finally:
        _Seen.depth -= 1


def wanted() -> bool:
    """Whether a signal is pending."""
    return _Seen.number is not None


def check(elsewhere: bool = False) -> None:
    """Raise Stopped if a signal is pending. elsewhere: whether one is pending in another process of the run."""
    if _Seen.number is not None or elsewhere:
        raise Stopped(_Seen.number or signal.SIGTERM)
