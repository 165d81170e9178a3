"""SIGTERM and SIGINT (Ctrl-C): end at once, or where something would be lost, as soon as it is kept.

A verb ends at once, by an exception; nothing it writes is in its place before it is whole. Inside deferred() a signal is
only remembered: training looks at it after each step, keeps a checkpoint, and ends.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopped(KeyboardInterrupt):
    """Raised where a signal ends the work. A KeyboardInterrupt, because libraries clean up after those and let them pass."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = signal.Signals(number)


class _Seen:
    """The first signal that has not ended anything yet, and how many deferred() are open."""

    number: int | None = None
    depth: int = 0


def _handle(number: int, frame: FrameType | None) -> None:
    if _Seen.number is None:
        _Seen.number = number
        if not _Seen.depth:
            raise Stopped(number)


@contextmanager
def handled() -> Iterator[None]:
    """Turn SIGTERM and SIGINT into Stopped while this lasts; one that the parent made us ignore stays ignored.

    Only the main thread may do this. A second signal changes nothing: what the first one began is being finished.
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
    """Let signals wait: the work inside asks wanted(), keeps what it has and calls check()."""
    _Seen.depth += 1
    try:
        yield
    finally:
        _Seen.depth -= 1


def wanted() -> bool:
    """Whether a signal waits."""
    return _Seen.number is not None


def check(elsewhere: bool = False) -> None:
    """Raise Stopped if a signal waits. elsewhere: it may wait in another process of the run, and end this one alike."""
    if _Seen.number is not None or elsewhere:
        raise Stopped(_Seen.number or signal.SIGTERM)
