"""Whether the methods of a study can do what it asks of them: their names, plans, points, text, searches and sources."""

import re

from growbench import methods
from growbench.errors import GrowBenchError, nearest
from growbench.spec import SOURCE
from growbench.study import plan_check, search_check, timeline
from growbench.study.study import Study, point_name

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def check_names(study: Study) -> None:
    """Raise GrowBenchError for a name that is no method's, or a study without scratch, and for wrong tuners and source points."""
    if "scratch" not in study.methods:
        raise GrowBenchError("methods.scratch: missing; every saving is measured against it; add `scratch:`")
    for name in study.methods:
        _check_name(study, name)
        _check_tuner(study, name)
        _check_source_point(study, name)
        study.options(name)


def check(study: Study) -> None:
    """Raise GrowBenchError if a method, its plan, its budget or its search does not fit the study."""
    for name in study.methods:
        if study.budget.total and (why := study.method(name).without_total):
            raise GrowBenchError(f"methods.{name}: budget.total is true, {why}; leave it out")
        if study.source_unpriced and study.counts_source(name):
            raise GrowBenchError(
                f"methods.{name}: it spends what the source cost, which nobody knows; give source.flops and source.cited, or "
                "leave it out"
            )
        run = timeline.of(study, name)
        try:
            plan_check.check(study, name, run)
        except GrowBenchError as error:
            raise GrowBenchError(f"methods.{name}: {error}") from error
        _check_text(study, name, run)
        _check_grown(study, name, run)
    if SOURCE in study.trained() and not study.checkpoint:
        plan_check.check_warmup(timeline.of(study, SOURCE), 0, study.source.points[0])
    search_check.check(study)


def _check_grown(study: Study, name: str, run: timeline.Timeline) -> None:
    """Raise GrowBenchError if a method has not grown to its target at the last point, or at one that is fine-tuned or scored."""
    asked = {"finetune": study.finetune.points, "zeroshot": study.zeroshot.points or ()}
    all_points, there = study.points_of(name), {point_name(point) for point in run.points}
    needed = {"budget": all_points[-1:], **asked}
    for key, points in needed.items():
        names = {point_name(point) for point in points} - there
        for point in (p for p in all_points if point_name(p) in names):
            raise GrowBenchError(f"{key}.points: {_early(study, name, run, point)}")


def _early(study: Study, name: str, run: timeline.Timeline, point: float) -> str:
    """Return why a method has no finished model at a point, and what to do."""
    if point == 0:
        return f"0, but {name} does not begin with a whole model of the target's shape; leave out {name}, or the point"
    remedy = f"use at least {run.points[0]:g}" if run.points else "grow earlier"
    if run.own(point) <= 0:
        return (
            f"{point:g} is {point * run.largest:.4g} FLOPs, but budget.total is true and the source of {name} alone costs "
            f"{run.source:.4g}; {remedy}"
        )
    leaves, grown = study.budget.branch(run.own(point)), run.grown()
    before = f"before {name} has grown to the target at {grown:g}"
    if leaves >= grown:
        before = f"before the warm-up of {name} ends at {run.warmup(0) / run.budget:.3g}"
    own = "" if run.own(point) == point else " of its own budget"
    return f"{point:g} leaves the trunk at {leaves:g}{own}, {before}; {remedy}"


def _check_text(study: Study, name: str, run: timeline.Timeline) -> None:
    """Raise GrowBenchError if a run would read more tokens than corpus.max_tokens, or more images than images.most."""
    most = study.corpus.max_tokens if study.images is None else study.images.most
    if most is None:
        return
    run.check_text(name, most)
    if study.reads_source(name):
        timeline.of(study, timeline.SOURCE).check_text(timeline.SOURCE, most)


def _check_tuner(study: Study, name: str) -> None:
    """Raise GrowBenchError unless a method that takes another one's LR and warm-up can: that one must be searched."""
    if (tuner := study.tuner(name)) == name:
        return
    options, key = study.options(name), f"methods.{name}.tuned_as"
    if tuner not in study.methods:
        raise GrowBenchError(f"{key}: {tuner!r} is not a method of this study; {nearest(tuner, study.methods)}")
    if study.search.wanted and not study.searched(tuner):
        raise GrowBenchError(f"{key}: {tuner} is not searched itself; name a method that is, or give {name} its own lr")
    if own := [option for option in ("lr", "warmup") if options[option] is not None]:
        raise GrowBenchError(f"{key}: {name} has its own {' and '.join(own)} as well; leave out one or the other")


def _check_source_point(study: Study, name: str) -> None:
    """Raise GrowBenchError if a method is to grow a finished point that the source does not have, or grows no source."""
    wanted, points = study.source_point(name), study.source.points
    if study.options(name)["source_point"] is not None and not study.method(name).needs_source:
        raise GrowBenchError(f"methods.{name}.source_point: {name} does not start from the source; leave it out")
    if wanted not in points:
        near = min(points, key=lambda point: abs(point - wanted))
        raise GrowBenchError(
            f"methods.{name}.source_point: {wanted} is not one of source.points ({', '.join(f'{p:g}' for p in points)}); "
            f"nearest: {near:g}"
        )


def _check_name(study: Study, name: str) -> None:
    of = study.methods[name].get("of")
    if of is None:
        return
    if name == SOURCE or name in methods.names() or not NAME.fullmatch(name):
        raise GrowBenchError(
            f"methods.{name}: not a name for a variant of {of}; use up to 40 lowercase letters, digits and _, starting with a "
            "letter, and not the name of a method"
        )
    if of not in methods.names():
        raise GrowBenchError(f"methods.{name}.of: {of!r} is not a method; {nearest(str(of), methods.names())}")
