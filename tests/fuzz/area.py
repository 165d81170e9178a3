"""What an area of fuzzing is: it prepares a folder once, then makes cases of it.

A case is a change to the prepared folder, the words of the command that reads it, and a judgment of what happened when the command
accepted it. A case is undone after it ran: the files that it changed are put back.
"""

import random
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fuzz import child
from fuzz.child import Outcome

Judgment = Callable[[Outcome], bool]


def always_right(outcome: Outcome) -> bool:
    """Accept any acceptance: what the command read was as good as before."""
    return True


def never_right(outcome: Outcome) -> bool:
    """Accept no acceptance: the case broke what the command read."""
    return False


@dataclass
class Case:
    """One input.

    words: of the command.
    note: what was changed, for the report of a failure.
    right: whether an acceptance (status 0) is right.
    refusal: whether a refusal is right.
    before: called in the child first.
    files: what the case wrote, by path, with what was there before (None: nothing).
    """

    words: list[str]
    note: str
    right: Judgment = always_right
    refusal: Judgment = always_right
    before: Callable[[], None] | None = None
    files: dict[Path, bytes | None] = field(default_factory=dict)

    def put(self, path: Path, data: bytes) -> None:
        """Write a file, and remember what was there."""
        self.files.setdefault(path, path.read_bytes() if path.exists() else None)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def undo(self) -> None:
        for path, before in self.files.items():
            path.unlink(missing_ok=True) if before is None else path.write_bytes(before)


class Area(ABC):
    """One kind of input.

    name: for the report.
    seconds: that a case may take.
    share: of the cases that are asked for; less if a case is expensive.
    leaves: what an accepted case leaves in the folder, to be removed.
    """

    name: str
    seconds: float = 60.0
    share: float = 1.0
    leaves: str = "out"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self) -> None:
        """Make what the cases change."""
        self.folder.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def case(self, rng: random.Random) -> Case:
        """Make the next case, its files written."""

    def clean(self) -> None:
        """Remove what an accepted case left."""
        shutil.rmtree(self.folder / self.leaves, ignore_errors=True)

    def succeed(self, words: list[str]) -> None:
        """Run a command that must succeed."""
        done = child.run(words, self.folder, 600)
        if done.status:
            raise RuntimeError(f"{self.name}: {' '.join(words)} ended with {done.status}\n{done.err}")
