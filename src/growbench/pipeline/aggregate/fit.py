"""Whether a record is of the study at hand: of its config, options, plan and searches, and of its code."""

from pathlib import Path
from typing import Any

from growbench.analysis.frames import Record
from growbench.errors import GrowBenchError
from growbench.methods import COMMON
from growbench.pipeline.pretrain import identity as run_identity
from growbench.pipeline.search import choice
from growbench.records import identity, record
from growbench.records.record import brief
from growbench.spec import SOURCE
from growbench.study.study import Study, point_name

AGAIN = "run its job again"
OTHER_CONFIG = "use the config that the records were made with, or run their jobs again"


def config(study: Study, path: Path, values: Record, part: Any) -> None:
    """Raise GrowBenchError unless a record is of this study and was made with this part of its config."""
    for key, wanted in {"study": study.study, "config_hash": record.config_hash(part)}.items():
        if values[key] != wanted:
            raise GrowBenchError(f"{path}: {key} is {values[key]}, but this config's is {wanted}; {OTHER_CONFIG}")


def run(study: Study, path: Path, values: Record) -> bool:
    """Return whether a run is of the code as it is now.

    Raises GrowBenchError unless its record is of this study: its config, options, plan, source and corpus.
    """
    method, seed = values["method"], values["seed"]
    config(study, path, values, study.trained_part())
    current = _identity(study, path, values, run_identity.wanted(study, method, seed))
    timeline = run_identity.timeline_of(study, method, seed, values["spec"]["vocab"])
    chosen = zip(choice.CHOSEN, study.searches(study.tuner(method)), strict=True)
    options = dict(timeline.options) | {key: values["identity"][key] for key, searched in chosen if searched}
    later = {key for key in COMMON if options.get(key) is None}
    later |= set() if method == SOURCE else study.method(method).later(options)
    options = {key: value for key, value in options.items() if key in values["options"] or key not in later}
    wanted = identity.parts(options=options, plan=timeline.plan.to_list())
    if difference := _first_difference(values["options"], wanted["options"]):
        raise GrowBenchError(f"{path}: options.{difference} in this study; {AGAIN}")
    for number, stages in enumerate(zip(values["plan"], wanted["plan"], strict=False)):
        if difference := _first_difference(*stages):
            raise GrowBenchError(f"{path}: plan: stage {number}: {difference} in this study; {AGAIN}")
    if len(values["plan"]) != len(wanted["plan"]):
        raise GrowBenchError(
            f"{path}: its plan has {len(values['plan'])} stages, but {len(wanted['plan'])} in this study; {AGAIN}"
        )
    names = [point_name(fraction) for fraction in timeline.points]
    for point in values["points"]:
        if point["point"] not in names:
            raise GrowBenchError(f"{path}: it has no finished point {point['point']} in this study; {AGAIN}")
    return current


def search(study: Study, path: Path, values: Record) -> bool:
    """Return whether a search is of the code as it is now.

    Raises GrowBenchError unless its record is of this study: its trials, its share of the budget, what it was made from.
    """
    config(study, path, values, study.trained_part(study.search.share))
    if values["share"] != study.search.share:
        raise GrowBenchError(f"{path}: share is {values['share']}, but search.share is {study.search.share}; {AGAIN}")
    if reason := choice.other_trials(study, values["method"], values):
        raise GrowBenchError(f"{path}: {reason}; {AGAIN}")
    return _identity(study, path, values, choice.wanted(study, values["method"]))


def _identity(study: Study, path: Path, values: Record, wanted: identity.Identity) -> bool:
    """Return whether the code is as it was when a record was made.

    Raises GrowBenchError if the record was made from something else than what is wanted; for code alone only if the run's
    folder is here, because then its job can be run again.
    """
    code = {key: wanted.pop(key) for key in identity.CODE}
    here = study.layout.run(values["method"], values["seed"]).path.exists()
    if changed := identity.changes(values["identity"], {**wanted, **code} if here else wanted):
        raise GrowBenchError(f"{path}: {changed}; {AGAIN}")
    return not identity.changes(values["identity"], code)


def finetune(study: Study, path: Path, values: Record) -> None:
    """Raise GrowBenchError unless a record holds every task with every fine-tuning seed and LR of this study, once."""
    config(study, path, values, study.finetuned_part())
    if values["protocol"] != study.finetune.protocol:
        raise GrowBenchError(
            f"{path}: protocol is {values['protocol']}, but finetune.protocol is {study.finetune.protocol}; {AGAIN}"
        )
    if study.finetune.counted and any(run.get("flops") is None for run in values["runs"]):
        raise GrowBenchError(
            f"{path}: its runs have no FLOPs, but finetune.counted is true; use false, or delete the file and {AGAIN}"
        )
    wanted = [
        (task, seed, lr)
        for task in study.tasks.names
        for seed in study.finetune.seeds
        for lr in study.finetune.of(task).rates
    ]
    found = [(run["task"], run["seed"], run["lr"]) for run in values["runs"]]
    words = "task {0} with seed {1} is missing at LR {2:g}", "task {0} with seed {1} at LR {2:g} is not of this study"
    _exactly(path, found, wanted, *words)


def zeroshot(study: Study, path: Path, values: Record) -> bool:
    """Return whether the windows of a record begin as sequences in training do; those of older ones did not.

    Raises GrowBenchError unless it holds every test set of this study, once, read in its windows.
    """
    config(study, path, values, study.zeroshot_part())
    window = {"length": study.objective.length, "stride": study.zeroshot.stride}
    if difference := _first_difference({key: values["window"][key] for key in window}, window):
        raise GrowBenchError(f"{path}: window.{difference} in this study; {AGAIN}")
    found, wanted = [(run["task"],) for run in values["runs"]], [(name,) for name in study.zeroshot.names]
    _exactly(path, found, wanted, "test set {0} is missing", "test set {0} is not of this study")
    return bool(values["window"]["context"] == window["length"] - window["stride"])


def attention(study: Study, path: Path, values: Record) -> Record:
    """Return the attention record with the models of this study alone. Raises GrowBenchError if one is missing."""
    config(study, path, values, study.trained_part())
    grown = any(study.method(name).needs_source for name in study.methods)
    models = [model for model in values["models"] if model["method"] in study.trained()]
    wanted = [(name,) for name in study.trained() if (study.ends(name) if name in study.methods else grown)]
    found = [(model["method"],) for model in models]
    _exactly(path, found, wanted, "{0} is missing", "{0} is there twice")
    return {**values, "models": models}


def _exactly(path: Path, found: list[Any], wanted: list[Any], missing: str, other: str) -> None:
    """Raise GrowBenchError unless what was found is what is wanted, each once, in whatever order."""
    for key in wanted:
        if key not in found:
            raise GrowBenchError(f"{path}: {missing.format(*key)}; delete the file and {AGAIN}")
    left = list(wanted)
    for key in found:
        if key not in left:
            raise GrowBenchError(f"{path}: {other.format(*map(_plain, key))}, or twice; delete the file and {AGAIN}")
        left.remove(key)


def _plain(value: Any) -> Any:
    return brief(value).strip("'") if isinstance(value, str) else value


def _first_difference(found: Record, wanted: Record) -> str:
    """Return in words the first key whose value differs; empty if none does."""
    for key in [*wanted, *(key for key in found if key not in wanted)]:
        if key not in found or key not in wanted or found[key] != wanted[key]:
            values = [brief(values[key]) if key in values else "missing" for values in (found, wanted)]
            return f"{brief(key)[1:-1]} is {values[0]}, but {values[1]}"
    return ""
