"""The finished fine-tunings of a job, stored until their record is written, so that a stopped job resumes from them."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError
from growbench.records import record
from growbench.runtime import durable
from growbench.study.study import Study


@dataclass(frozen=True)
class Cache:
    """The finished fine-tunings of one finished point.

    folder: one file per fine-tuning.
    of: digests of everything that they depend on; a stored fine-tuning with other digests is not used.
    """

    folder: Path
    of: dict[str, str]

    def once(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the stored fine-tuning of this name; if there is none, store and return what make() returns."""
        path = self.folder / f"{name}.json"
        try:
            found = durable.read_json(path)
        except GrowBenchError:  # missing or damaged
            found = {}
        if found.get("of") != self.of:
            found = {"of": self.of, "run": make()}
            durable.write_json(path, found)
        return dict(found["run"])

    def clear(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def open_cache(study: Study, method: str, seed: int, point: str) -> Cache:
    """Return the cache of a finished point."""
    run, manifest = study.layout.run(method, seed), study.layout.corpus_manifest
    of = {
        "config": record.digest(study.finetuned_part()),
        "model": durable.digest(run.point(point) / durable.SEAL),
        "corpus": durable.digest(manifest) if manifest.exists() else "",
    }
    return Cache(run.finetuned(point), of)
