"""The finished fine-tunings of a finished point: a stopped job resumes from them, and what has not changed is not done again."""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError
from growbench.records import identity, manifest
from growbench.records.identity import Identity
from growbench.study.sections import FinetuneConfig

HELD_OUT = "held_out"  # of finetune.protocol
log = logging.getLogger(__name__)
VERSION = 3  # of the code that fine-tunes: raise it if it changes what a fine-tuning scores or keeps
ELSEWHERE = (
    "points",
    "source",
    "counted",
    "threads",
    "most_cut",
    "protocol",
    "held_out",
    "tasks",
    "seeds",
    "lr",
)  # keys that one fine-tuning does not depend on


@dataclass(frozen=True)
class Cache:
    """The finished fine-tunings of one finished point.

    folder: one file per fine-tuning.
    of: what all of them are made from.
    reported: the changes that were logged.
    """

    folder: Path
    of: Identity
    reported: set[str] = field(default_factory=set)

    def once(self, name: str, own: Identity, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the stored fine-tuning of this name; if there is none, store and return what make() returns.

        own: what this fine-tuning is made from besides. One that was made from something else is not used.
        """
        path, of = self.folder / f"{name}.json", {**self.of, **own}
        try:
            found = manifest.read(path, VERSION, "")
        except GrowBenchError:  # missing, damaged, or of another version
            found = None
        if found is not None and (changed := identity.changes(found["of"], of)):
            self._report(changed)
            found = None
        if found is None:
            found = identity.parts(version=VERSION, of=of, run=make())
            manifest.write(path, found)
        return dict(found["run"])

    def _report(self, changed: str) -> None:
        if changed not in self.reported:
            self.reported.add(changed)
            log.info("%s: %s; fine-tuning again", self.folder, changed)


def of_task(settings: FinetuneConfig, files: Any) -> Identity:
    """Return what a fine-tuning on a task is made from: the settings and the SHA-256 of the task's files."""
    own = {key: value for key, value in asdict(settings).items() if key not in ELSEWHERE}
    if settings.protocol == HELD_OUT:
        own["held_out"] = settings.held_out  # these rows are not trained on
    return identity.parts(settings=own, tasks=dict(files))
