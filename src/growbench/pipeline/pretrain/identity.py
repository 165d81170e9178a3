"""The identity of a run: everything that its numbers depend on. No torch, so that the workflow and the tables can ask.

Where and how fast a run is trained is not part of it (study.HOW), except for the precision that this comes to.
"""

from typing import Any

from growbench import families, growth, methods, train
from growbench.errors import GrowBenchError
from growbench.methods import COMMON
from growbench.pipeline.corpus import corpus
from growbench.records import finished, identity, record
from growbench.records.identity import Identity
from growbench.spec import SOURCE
from growbench.study import timeline
from growbench.study.study import Study, point_name
from growbench.study.timeline import CONFIGURED, Peak, Timeline

VERSION = 3  # of a run's state and of its finished points
NONE = "none"  # the source of a run that does not start from one
ELECTRA = 2 / 3  # of FLOPs with backward = 2 x forward: those with backward = forward
Cost = dict[str, float | None]
FREE: Cost = {"flops": 0.0, "flops_electra": 0.0, "tokens": 0, "wall_seconds": 0.0}  # what no source costs


def of(study: Study, method: str, seed: int, run: Timeline, *, text: str, share: float, precision: str) -> Identity:
    """Return the identity of a run. Raises GrowBenchError if it needs a source whose record is missing or stale.

    method: a method of the study, or the source. run: its timeline. text: digest of the corpus. share: of the budget.
    precision: what the run computes in.
    """
    return identity.parts(
        version=VERSION,
        **_planned(study, method, run, share),
        corpus=text,
        source=source_model(study, method, seed) if needs_source(study, method) else _given(study, method),
        seed=seed,
        share=share * own_share(study, method),
        precision=precision,
    )


def wanted(study: Study, method: str, seed: int, share: float = 1.0) -> Identity:
    """Return what the identity of a run must be to be used in this study: those parts that are known without training it.

    Left out: the precision; the corpus and the plan if there is no corpus here; the source if it has no record here, or one
    that does not name its model; the learning rate and the warm-up if a search chooses them and has not yet. share: of the
    budget, in a search's trials.
    """
    manifest = corpus.read_manifest(study.layout.corpus) if study.layout.corpus_manifest.exists() else None
    run = timeline_of(study, method, seed, manifest["vocab"] if manifest else None, share=share)
    parts = {
        "version": VERSION,
        **_planned(study, method, run, share),
        "seed": seed,
        "share": share * own_share(study, method),
    }
    if manifest is None:
        del parts["plan"]
    else:
        parts["corpus"] = corpus.digest(manifest)
    if not needs_source(study, method):
        parts["source"] = _given(study, method)
    elif study.layout.run_record(SOURCE, seed).exists() and (model := _source(study, method, seed)["model"]):
        parts["source"] = model
    if study.searched(tuner := study.tuner(method)):
        path, chosen = study.layout.search_record(tuner), {}
        if path.exists():
            chosen = record.read(path, "search", tuner, study.search.seed)
        for key in (key for key, searched in zip(("lr", "warmup"), study.searches(tuner), strict=True) if searched):
            parts.pop(key)
            parts |= {key: chosen[key]} if chosen else {}
    return identity.parts(**parts)


def _planned(study: Study, method: str, run: Timeline, share: float) -> Identity:
    """Return the parts that follow from the config and the code."""
    unsaid = {*COMMON, *(() if method == SOURCE else study.method(method).later(run.options))}
    return {
        "config": record.config_hash(study.trained_part(share)),
        "options": {key: value for key, value in run.options.items() if key not in unsaid},
        "plan": identity.digest(run.plan.to_list()),
        "method": SOURCE if method == SOURCE else methods.code(study.method(method).name),
        "growth": growth.VERSION,
        "family": families.load(study.target.family).version,
        "train": train.VERSION,
        "lr": run.options.get("lr") or study.optimizer.lr,
        "warmup": _warmup(study, run),
    }


def _warmup(study: Study, run: Timeline) -> int | str:
    """Return the steps of a run's warm-up; `share` if it is a share of the budget, which the config says."""
    own, usual = run.options.get("warmup"), study.optimizer.warmup
    return own if own is not None else usual if isinstance(usual, int) else "share"


def timeline_of(
    study: Study, method: str, seed: int, vocab: int | None, peak: Peak = CONFIGURED, share: float = 1.0
) -> Timeline:
    """Return what a run does, and when. Raises GrowBenchError if it spends what the source cost, which is not trained.

    vocab: size of the corpus's vocabulary. peak: what a search chose. share: of the budget.
    """
    counts = method != SOURCE and study.counts_source(method)
    paid = share * (source_cost(study, method, seed)["flops"] or 0.0) if counts else 0.0
    return timeline.of(timeline.short(study, share, vocab), method, vocab=vocab, paid=paid).at(peak)


def own_share(study: Study, method: str) -> float:
    """Return the share of the largest budget that a method's options give it."""
    own = None if method == SOURCE else study.options(method)["budget"]
    return 1.0 if own is None else float(own)


def needs_source(study: Study, method: str) -> bool:
    """Return whether a method starts from the trained source."""
    return method != SOURCE and study.method(method).needs_source


def source_cost(study: Study, method: str, seed: int) -> Cost:
    """Return what the finished point that a method grows cost; FLOPs are None if nobody knows.

    Raises GrowBenchError if the source is not trained.
    """
    if study.checkpoint:
        flops = study.source.flops
        return {**FREE, "flops": flops, "flops_electra": None if flops is None else flops * ELECTRA}
    return {key: _source(study, method, seed)[key] for key in FREE}


def counted_source(study: Study, method: str, seed: int) -> Cost:
    """Return the cost of the source that counts towards a method's total, or a checkpoint's own; nothing if there is none."""
    counts = needs_source(study, method) or (method == SOURCE and study.checkpoint)
    return source_cost(study, method, seed) if counts else FREE


def _given(study: Study, method: str) -> str:
    """Return what a run starts from that grows no source: the source's checkpoint, or nothing."""
    return study.checkpoint.content if method == SOURCE and study.checkpoint else NONE


def source_model(study: Study, method: str, seed: int) -> str:
    """Return the digest of the finished point that a method grows.

    Raises GrowBenchError if the source's record is missing or does not name it.
    """
    model = _source(study, method, seed)["model"]
    if model is None:  # written before records named their models
        path = study.layout.run_record(SOURCE, seed)
        raise GrowBenchError(f"{path}: does not name the model that it is of; delete it and run the source's job again")
    return str(model)


def _source(study: Study, method: str, seed: int) -> dict[str, Any]:
    """Return the finished point that a method grows.

    Older code is refused only if the source's run is here, because then it can be trained again.
    """
    parts = wanted(study, SOURCE, seed)
    if not study.layout.run(SOURCE, seed).path.exists():
        parts = {key: value for key, value in parts.items() if key not in identity.CODE}
    points = finished.values(study.layout, parts, SOURCE, seed)["points"]
    return dict(next(point for point in points if point["point"] == point_name(study.source_point(method))))
