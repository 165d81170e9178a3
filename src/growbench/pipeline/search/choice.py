"""What a search chose for a method, and whether its record is of the study at hand. No torch: tables ask as well."""

from collections.abc import Mapping
from typing import Any

from growbench.errors import GrowBenchError
from growbench.pipeline.pretrain import identity as run_identity
from growbench.pipeline.search import bracket
from growbench.pipeline.search.bracket import Axis, Warmup
from growbench.records import identity, record
from growbench.spec import SOURCE
from growbench.study import search_check
from growbench.study.study import Study
from growbench.study.timeline import CONFIGURED, Peak

CHOSEN = ("lr", "warmup")  # parts of a run's identity that a search chooses


def chosen(study: Study, method: str) -> Peak:
    """Return the LR and the warm-up that a search chose for a method; what the study does not search is the config's.

    The search is that of the method's tuner. Raises GrowBenchError if there is no record of it.
    """
    method = study.tuner(method)
    if not study.searched(method):
        return CONFIGURED
    path = study.layout.search_record(method)
    values = record.read(path, "search", method, study.search.seed)
    if reason := stale(study, method, values):
        raise GrowBenchError(f"{path}: {reason}; run `growbench search --method {method}` again")
    found = {key: values[key] for key, searched in zip(CHOSEN, study.searches(method), strict=True) if searched}
    return Peak(**found)


def stale(study: Study, method: str, values: Mapping[str, Any]) -> str:
    """Return why the record of a search is not of the study at hand; empty if it is."""
    return other_trials(study, method, values) or identity.changes(values.get("identity"), wanted(study, method))


def wanted(study: Study, method: str) -> identity.Identity:
    """Return what the identity of a search must be: that of its trials without what they try."""
    parts = run_identity.wanted(study, method, study.search.seed, study.search.share)
    return {key: value for key, value in parts.items() if key not in CHOSEN}


def other_trials(study: Study, method: str, values: Mapping[str, Any]) -> str:
    """Return how the trials of a search differ from those that the study asks for; empty if they do not.

    The search is repeated with the losses of the record. A record that does not say whether it is bracketed is of before
    lists grew: it holds the trials of search.lrs and nothing else.
    """
    trials, lrs = values["trials"], list(study.search.lrs)
    if values.get("bracketed") is None:
        tried = [trial["lr"] for trial in trials]
        return "" if tried == lrs and not study.search.warmups else f"it tried {tried}, but search.lrs is {lrs}"
    losses = {(trial["lr"], trial["warmup"]): trial["loss"] for trial in trials}
    asked: list[tuple[float, Warmup]] = []

    def ask(lr: float, warmup: Warmup) -> float | None:
        asked.append((lr, warmup))
        return losses[lr, warmup]

    start = f"search.lrs {lrs} and search.warmups {list(study.search.warmups)}"
    try:
        found = bracket.search(*axes(study, method), ask)
    except KeyError:
        return f"it did not try {told(*asked[-1])}, as {start} ask for"
    if others := losses.keys() - set(asked):
        return f"it tried {told(*min(others, key=str))}, for which {start} do not ask"
    if (found.lr, found.warmup) != (values["lr"], values["warmup"]):
        return f"it chose {told(values['lr'], values['warmup'])}, but its trials say {told(found.lr, found.warmup)}"
    return ""


def told(lr: float, warmup: Warmup) -> str:
    """Return a trial in words."""
    return f"LR {lr:g}" + (f" with a warm-up of {warmup} steps" if warmup is not None else "")


def axes(study: Study, method: str) -> tuple[Axis, Axis | None]:
    """Return the grids of a method's LRs and warm-ups; of the second, None if its warm-up is a share of the budget."""
    lr, warmup = study.searches(method)
    options = {} if method == SOURCE else study.options(method)
    usual = study.optimizer.source_lr if method == SOURCE else study.optimizer.lr
    lrs = Axis(study.search.lrs if lr else (options.get("lr") or usual,), searched=lr)
    if warmup:
        room = search_check.Room(study, method)
        return lrs, Axis(study.search.warmups, searched=True, whole=True, fits=lambda steps: not room.fault(int(steps)))
    own = options.get("warmup")
    steps = study.optimizer.warmup if own is None else own
    return lrs, Axis((steps,), searched=False) if isinstance(steps, int) else None
