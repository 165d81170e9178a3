"""The fine-tunings that a job has done, kept until their record is written: a job that is ended goes on from there."""

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
class Kept:
    """Fine-tunings of one finished point. of: digests of what they depend on; what is kept of anything else is not used."""

    folder: Path
    of: dict[str, str]

    def once(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the fine-tuning of this name: the kept one, else what make() returns, which is kept."""
        path = self.folder / f"{name}.json"
        try:
            found = durable.read_json(path)
        except GrowBenchError:  # none yet, or damaged
            found = {}
        if found.get("of") != self.of:
            found = {"of": self.of, "run": make()}
            durable.write_json(path, found)
        return dict(found["run"])

    def forget(self) -> None:
        """Take away what is kept, once a record says it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def kept(study: Study, method: str, seed: int, point: str) -> Kept:
    """Return what is kept of a finished point, beside its run's other files."""
    corpus, run = study.layout.corpus_manifest, study.layout.run(method, seed)
    of = {
        "config": record.digest(study.finetuned_part()),
        "model": durable.digest(run.point(point) / durable.SEAL),
        "corpus": durable.digest(corpus) if corpus.exists() else "",
    }
    return Kept(run.finetuned(point), of)
