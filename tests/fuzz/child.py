"""Run one command of growbench in a forked process, and say how it ended. Importing torch is paid once, by the parent.

The parent must be a process without threads when it forks: after a test has built a corpus in it, a child that builds one
hangs. `warm` imports everything that the verbs use.
"""

import contextlib
import gc
import io
import os
import resource
import signal
import sys
import tempfile
import traceback
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import torch

TRACEBACK, KILLED, TIMEOUT = 70, 137, 124
MEMORY = 12 * 2**30  # bytes of address space of a child


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    status: exit status; TRACEBACK for an exception that reached the top, TIMEOUT where it had to be killed.
    out, err: what it printed.
    """

    status: int
    out: str
    err: str

    @property
    def clean(self) -> bool:
        """Whether it is a refusal of one line: status 2, and the last line of stderr, and no other, says why."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        refusals = [line for line in lines if line.startswith("growbench: ")]
        return self.status == 2 and lines[-1:] == refusals and ";" in lines[-1] and "Traceback" not in self.err

    @property
    def raw(self) -> bool:
        """Whether a control character reached the terminal; a carriage return moves a progress bar."""
        return any(unicodedata.category(c) == "Cc" and c not in "\n\t\r" for c in self.out + self.err)


def warm() -> None:
    """Import what the verbs import, and the stock classes of every family, on one thread."""
    torch.set_num_threads(1)
    import transformers  # noqa: F401

    from growbench import families, methods
    from growbench.cli import main  # noqa: F401
    from growbench.pipeline import aggregate, search  # noqa: F401
    from growbench.pipeline.finetune import run as finetune  # noqa: F401
    from growbench.pipeline.grow import run as grow  # noqa: F401
    from growbench.pipeline.grow.tensors import stored_names
    from growbench.pipeline.pretrain import run as pretrain  # noqa: F401

    methods.loaded()
    for family in families.loaded():
        stored_names(family.build(family.config(family.example_spec(), **family.example_settings), seed=None))
    gc.freeze()  # so that a collection in a child does not copy the parent's memory


@contextlib.contextmanager
def at_one_commit() -> Iterator[str]:
    """Let every child name the commit of now, which is in its records, whatever is committed meanwhile."""
    from growbench.records import provenance

    found = provenance._commit()
    with mock.patch.object(provenance, "_commit", lambda: found):
        yield found[0]


def run(words: Sequence[str], folder: Path, seconds: float = 60.0, before: Callable[[], None] | None = None) -> Outcome:
    """Run `growbench words` in a fork with `folder` as its working directory, for so many seconds at most.

    before: called in the child first, to set hooks.
    """

    def work() -> int:
        from growbench.cli.main import main

        return main(list(words))

    return call(work, folder, seconds, before)


def call(
    work: Callable[[], int], folder: Path, seconds: float = 60.0, before: Callable[[], None] | None = None
) -> Outcome:
    """Call a function in a fork; its return value is the exit status."""
    with tempfile.TemporaryDirectory(prefix="growbench-fuzz-") as place:
        out, err = Path(place, "out"), Path(place, "err")
        child = os.fork()
        if not child:
            _child(work, folder, before, out, err)
        status = _wait(child, seconds)
        return Outcome(status, *(p.read_text(errors="replace") if p.exists() else "" for p in (out, err)))


def _child(work: Callable[[], int], folder: Path, before: Callable[[], None] | None, out: Path, err: Path) -> None:
    status = TRACEBACK
    try:
        for number, path in ((1, out), (2, err)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb"), encoding="utf-8", line_buffering=True)
        sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb"), encoding="utf-8", line_buffering=True)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        os.chdir(folder)
        # A fork's first use of torch replaces the pool of threads, and fails where several threads are the first at once,
        # as when transformers loads weights.
        torch.set_num_threads(1)
        if before is not None:
            before()
        status = work()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1 if error.code else 0
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _wait(child: int, seconds: float) -> int:
    """Wait for a child; kill it when its time is up."""

    def late(number: int, frame: object) -> None:
        os.kill(child, signal.SIGKILL)

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        _, status = os.waitpid(child, 0)
    finally:
        left = signal.setitimer(signal.ITIMER_REAL, 0)[0]
        signal.signal(signal.SIGALRM, before)
    if os.WIFSIGNALED(status):
        return TIMEOUT if not left else 128 + os.WTERMSIG(status)
    return os.WEXITSTATUS(status)
