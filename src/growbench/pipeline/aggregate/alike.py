"""Whether records belong to one another: the same corpus, precision and task files, and evaluations of these very models.

What is null was not recorded, and passes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from growbench.analysis.frames import Record
from growbench.errors import GrowBenchError
from growbench.records.documents import Documents
from growbench.records.record import brief

Records = Mapping[Path, Record]
OF_TASK = ("n_train", "n_dev", "subset", "majority")
OF_TEST_SET = ("n_tokens", "n_words", "n_lines", "n_unknown", "n_cut", "n_pairs", "n_bytes", "subset")


def runs(records: Records) -> None:
    """Raise GrowBenchError unless all runs read the same corpus and computed in the same precision."""
    for part in ("corpus", "precision"):
        equal({path: values["identity"][part] for path, values in records.items()}, part)
    for key in ("unigram_entropy", "entropy_floor"):
        equal({path: values[key] for path, values in records.items()}, key)


def searches(records: Records, runs: Records) -> None:
    """Raise GrowBenchError unless the searches computed in the precision of the runs."""
    equal({path: values["identity"]["precision"] for path, values in [*runs.items(), *records.items()]}, "precision")


def evaluations(records: Records, runs: Records, columns: tuple[str, ...]) -> None:
    """Raise GrowBenchError unless these evaluations are of the models of these runs, on the same files.

    columns: what tells a task's files apart in a run of a record, besides their digests.
    """
    _models(records, runs)
    for part in ("corpus", "precision"):
        equal({path: values["made_from"][part] for path, values in records.items()}, part)
    tasks = dict.fromkeys(run["task"] for values in records.values() for run in values["runs"])
    for task in tasks:
        equal({path: (v["made_from"]["tasks"] or {}).get(task) for path, v in records.items()}, f"{task}: files")
        for column in columns:
            found = {path: _of_task(values, task, column) for path, values in records.items()}
            equal(found, f"{task}: {column}")


def _of_task(values: Record, task: str, column: str) -> Any:
    """Return a column of a task in a record: all of its values if its runs differ."""
    found = list(dict.fromkeys(run.get(column) for run in values["runs"] if run["task"] == task))
    return found[0] if len(found) == 1 else found


def _models(records: Records, runs: Records) -> None:
    models = {
        (run["method"], run["seed"], point["point"]): (path, point["model"], run["identity"]["corpus"])
        for path, run in runs.items()
        for point in run["points"]
    }
    for path, values in records.items():
        origin, model, corpus = models[values["method"], values["seed"], values["point"]]
        same(path, values["made_from"]["model"], origin, model, "made from another model than")
        same(path, values["made_from"]["corpus"], origin, corpus, "made with another corpus than")


def attention(path: Path, values: Record, runs: Records) -> None:
    """Raise GrowBenchError unless an attention record is of the last models of these runs."""
    for origin, run in runs.items():
        if run["seed"] == values["seed"]:
            model = (values["made_from"]["models"] or {}).get(run["method"])
            same(path, model, origin, run["points"][-1]["model"], "made from another model than")
            same(
                path, values["made_from"]["corpus"], origin, run["identity"]["corpus"], "made with another corpus than"
            )


def documents(found: Mapping[Path, Documents]) -> None:
    """Raise GrowBenchError unless all runs were evaluated on the same documents: the same numbers, as many tokens of each."""
    for what in ("numbers", "tokens"):
        known = [(path, getattr(losses, what)) for path, losses in found.items()]
        for path, value in known[1:]:
            if not np.array_equal(value, known[0][1]):
                raise GrowBenchError(
                    f"{path}: its documents are not those of {known[0][0]} ({what} differ); the two cannot be compared: "
                    "run the older one's job again"
                )


def same(path: Path, value: Any, origin: Path, wanted: Any, words: str) -> None:
    """Raise GrowBenchError if a value of a file differs from that of another file. words: what is wrong."""
    if value is not None and wanted is not None and value != wanted:
        raise GrowBenchError(f"{path}: {words} {origin}; run its job again")


def equal(found: Mapping[Path, Any], what: str) -> None:
    """Raise GrowBenchError unless all files have the same value."""
    known = {path: value for path, value in found.items() if value is not None}
    if not known:
        return
    first, wanted = next(iter(known.items()))
    for path, value in known.items():
        if value != wanted:
            raise GrowBenchError(
                f"{path}: {what} {brief(value)} differs from {brief(wanted)} in {first}; the two cannot be compared: run "
                "the older one's job again"
            )
