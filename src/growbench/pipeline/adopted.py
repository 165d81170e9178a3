"""Records that came with a clone: which of them are done, whatever the times of the files, and which are to be made again.

A record that Snakemake did not make here has no notes there that say what it was made from. It says so itself. If it is what
the study wants, it is done, although its models are not here; a step that needs them trains them again and leaves the record
(`growbench pretrain --restore`). If it is not, its job runs again. No torch: the workflow asks when it plans.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from growbench.errors import GrowBenchError
from growbench.pipeline import triggers
from growbench.pipeline.aggregate import fit
from growbench.records import record
from growbench.spec import SOURCE
from growbench.study import scored
from growbench.study.study import Study

Run = tuple[str, int]  # method and seed
Scored = tuple[str, str]  # method and point
CHANGED = "the code changed since"


@dataclass(frozen=True)
class Adopted:
    """What came with a clone.

    runs, searches, finetuned, zeroshot, attention: what is done: runs by method and seed, searches by method, evaluations by
    method and finished point of all seeds, the attention record by its seed.
    stale: why a record is made again, by its path.
    models: of each of these runs, the digest of the model of each finished point.
    """

    runs: set[Run] = field(default_factory=set)
    searches: set[str] = field(default_factory=set)
    finetuned: set[Scored] = field(default_factory=set)
    zeroshot: set[Scored] = field(default_factory=set)
    attention: set[int] = field(default_factory=set)
    stale: dict[Path, str] = field(default_factory=dict)
    models: dict[Run, dict[str, str | None]] = field(default_factory=dict)


def find(study: Study, here: Callable[[Path], bool]) -> Adopted:
    """Return which records of a study came with a clone. here: tells whether Snakemake made a file in this folder.

    Raises GrowBenchError, naming the file, for a record that is damaged or was changed by hand.
    """
    found, layout = Adopted(), study.layout
    came = _Came(found, here)
    for method in study.trained():
        path = layout.search_record(method)
        if study.searched(method) and came.fits(path, ("search", method, study.search.seed), _search(study)):
            found.searches.add(method)
    for method, seed in _runs(study):
        if came.fits(layout.run_record(method, seed), ("pretrain", method, seed), _run(study, found)):
            found.runs.add((method, seed))
    for kind, place, check, wanted in (
        ("finetune", layout.finetune_record, fit.finetune, _finetuned(study)),
        ("zeroshot", layout.zeroshot_record, fit.zeroshot, _scored(study)),
    ):
        done = found.finetuned if kind == "finetune" else found.zeroshot
        for method, point in wanted:
            records = {seed: place(method, seed, point) for seed in study.seeds}
            fitting = [
                came.fits(path, (kind, method, seed, point), _evaluation(study, found, check))
                for seed, path in records.items()
            ]
            if all(fitting):
                done.add((method, point))
    if study.attention:
        seed = study.seeds[0]
        if came.fits(layout.attention_record(seed), ("attention", "all", seed), _attention(study, found)):
            found.attention.add(seed)
    return found


def _runs(study: Study) -> list[Run]:
    """Return every run of a study, those of the source first."""
    trial = study.trial_seed()
    seeds = [*study.seeds, *([] if trial is None else [trial])] if SOURCE in study.trained() else []
    return [(SOURCE, seed) for seed in seeds] + [(name, seed) for name in study.methods for seed in study.seeds]


def _finetuned(study: Study) -> list[Scored]:
    if not study.tasks.names:
        return []
    names = [*study.methods, *([SOURCE] if study.finetune.source and SOURCE in study.trained() else [])]
    return [(name, point) for name in names for point in study.finetuned_points(name)]


def _scored(study: Study) -> list[Scored]:
    if not study.zeroshot.names:
        return []
    return [(name, point) for name in study.methods for point in scored.points(study, name)]


@dataclass
class _Came:
    """Reads records of a clone, and notes which do not fit."""

    adopted: Adopted
    here: Callable[[Path], bool]

    def fits(self, path: Path, of: tuple[Any, ...], check: Callable[[Path, Any], str]) -> bool:
        """Return whether a record came with a clone and is done. of: its kind, method, seed and point.

        check: says why it is not.
        """
        if not path.exists() or self.here(path):
            return False
        reason = check(path, record.read(path, *of))
        if reason:
            self.adopted.stale[path] = reason
        return not reason


def _said(check: Callable[[], Any]) -> str:
    """Return what a check complains about; empty if nothing."""
    try:
        return CHANGED if check() is False else ""
    except GrowBenchError as error:
        return str(error)


def _precision(study: Study, made: str | None) -> str:
    wanted = triggers.precision(study)
    return "" if wanted == "auto" or made in (None, wanted) else f"its precision is {made}, not {wanted}"


def _search(study: Study) -> Callable[[Path, Any], str]:
    return lambda path, values: (
        _said(lambda: fit.search(study, path, values)) or _precision(study, values["identity"]["precision"])
    )


def _run(study: Study, found: Adopted) -> Callable[[Path, Any], str]:
    layout = study.layout

    def of(path: Path, values: Any) -> str:
        method, seed = values["method"], values["seed"]
        if method != SOURCE and study.reads_source(method) and layout.run_record(SOURCE, seed) in found.stale:
            return "its source is trained again"
        if layout.search_record(study.tuner(method)) in found.stale:
            return "its search is made again"
        beside = [layout.curve(method, seed), *([layout.documents(method, seed)] if values.get("documents") else [])]
        if gone := [other.name for other in beside if not other.exists()]:
            return f"{gone[0]} is missing"
        found.models[method, seed] = {point["point"]: point["model"] for point in values["points"]}
        return _said(lambda: fit.run(study, path, values)) or _precision(study, values["identity"]["precision"])

    return of


def _evaluation(
    study: Study, found: Adopted, check: Callable[[Study, Path, Any], object]
) -> Callable[[Path, Any], str]:
    def of(path: Path, values: Any) -> str:
        run = values["method"], values["seed"]
        if run not in found.runs:
            return "its run is trained again"
        if values["made_from"]["model"] not in (None, found.models[run].get(values["point"])):
            return "it is of another model than its run's"
        return _said(lambda: check(study, path, values)) or _precision(study, values["made_from"]["precision"])

    return of


def _attention(study: Study, found: Adopted) -> Callable[[Path, Any], str]:
    def of(path: Path, values: Any) -> str:
        if any((name, values["seed"]) not in found.runs for name in study.trained()):
            return "a run is trained again"
        return _said(lambda: fit.attention(study, path, values)) or _precision(study, values["made_from"]["precision"])

    return of
