"""Check a plan against its study: stages that are each well formed may not fit together, or may not fit the study."""

from collections.abc import Sequence

import numpy as np

from growbench import families
from growbench.errors import GrowBenchError
from growbench.growth.depth import Depth, check_depth
from growbench.growth.widening import Widening
from growbench.methods import Method
from growbench.plan import lengths
from growbench.plan.plan import Stage
from growbench.runtime import discover
from growbench.spec import ModelSpec
from growbench.study.study import Study
from growbench.study.timeline import Timeline


def check(study: Study, name: str, run: Timeline) -> None:
    """Raise GrowBenchError, naming the stage, if a method's plan does not fit the study."""
    method, stages = study.method(name), run.plan.stages
    source, target = study.source_spec(study.corpus.vocab), study.target_spec(study.corpus.vocab)
    wanted = {"target": target, "source": source}[method.ends]
    if stages[-1].spec != wanted:
        raise GrowBenchError(
            f"plan: the last stage trains {_shape(stages[-1].spec)}; it must train the {method.ends}, {_shape(wanted)}"
        )
    if method.needs_source and not any(stage.enter == "source" or stage.teacher for stage in stages):
        raise GrowBenchError(
            "plan: it counts the source's FLOPs, but no stage uses the source; enter the first stage by 'source'"
        )
    before = source
    for number, stage in enumerate(stages):
        try:
            _check_stage(study, method, stage, last=number == len(stages) - 1)
            _check_thin(stage, stages[number - 1] if number else None, last=number == len(stages) - 1)
            check_warmup(run, number, _first(study.points_of(name)))
            _check_length(run, number)
            _check_growth(study, method, run, before, stage)
        except GrowBenchError as error:
            raise GrowBenchError(f"stage {number}: {error}" if len(stages) > 1 else str(error)) from error
        before = stage.spec


def _shape(spec: ModelSpec) -> str:
    return f"{spec.family} {spec.short()}, {spec.heads} heads, FFN {spec.ffn}, vocabulary {spec.vocab}, length {spec.max_length}"


def _check_stage(study: Study, method: Method, stage: Stage, *, last: bool) -> None:
    mlm, length = study.objective.kind == "mlm", study.objective.length
    grown, part = stage.enter in ("grow", "source"), stage.top is not None or stage.block is not None
    frozen = stage.top is not None and stage.top < stage.spec.layers
    faults = [
        (
            stage.enter == "source" and not method.needs_source,
            f"enter: {method.name} does not count a source's cost; use init, or a method that starts from the source",
        ),
        (
            stage.enter == "grow" and method.needs_data,
            f"enter: {method.name} learns its operator of the trained source only; use source",
        ),
        (last and stage.slope is not None, "slope: no stage follows the last one; leave it out"),
        (stage.mask > 0 and not method.masked, f"mask: {method.name} does not use masks; leave it out"),
        (
            stage.mask > 0 and not grown,
            "mask: only growth adds what can be masked; enter the stage by grow or source",
        ),
        (
            stage.teacher > 0 and not method.needs_source,
            f"teacher: {method.name} has no source to learn from; leave it out",
        ),
        (
            stage.teacher > 0 and (part or stage.pool > 1),
            "teacher: it needs whole models; leave out top, block and pool",
        ),
        (
            stage.mask > 0 and stage.slope is not None,
            "mask: the stage may end before the masks are lifted; leave out slope",
        ),
        (stage.block is not None and stage.top is not None, "block: it already sets which layers learn; leave out top"),
        (
            last and (frozen or stage.block is not None),
            "top, block: the last stage must train the whole target; leave them out",
        ),
        (
            last and (stage.pool > 1 or stage.cut > 1),
            "pool, cut: the last stage must read whole inputs; leave them out",
        ),
        (
            last and stage.teacher > 0,
            "teacher: finished points would lie inside this stage; end it and add a stage without a teacher",
        ),
        (
            stage.pool >= length,
            f"pool: {stage.pool} is not less than the {length} tokens of a sequence; use a smaller one",
        ),
        (
            (stage.pool > 1 or stage.cut > 1) and study.images is not None,
            "pool, cut: they shorten text, and this study reads images; leave them out",
        ),
        (
            stage.pool > 1 and not mlm,
            "pool: pooled embeddings would show a causal model the tokens that it predicts; use pool 1, or cut",
        ),
        (
            stage.pool > 1 and families.load(stage.spec.family).rotary,
            f"pool: {stage.spec.family} rotates by position, and a pooled token has none; use pool 1, or cut",
        ),
        (
            lengths.after_cut(length, stage.cut) < 2,
            f"cut: fewer than two of {length} tokens would be left; use a smaller one",
        ),
        (
            stage.enter == "keep" and stage.optimizer not in ("reset", "copy"),
            "optimizer: a model that is kept needs reset or copy; use one of them",
        ),
        (
            stage.enter == "init" and frozen,
            f"top: the layers below the top {stage.top} would stay random; leave it out",
        ),
    ]
    for found, line in faults:
        if found:
            raise GrowBenchError(line)


def _check_thin(stage: Stage, before: Stage | None, *, last: bool) -> None:
    """Raise GrowBenchError if a thin model (train/variants/thin.py) would come from a stock one, or be the target."""
    if stage.thin == (None, False):
        return
    same = stage.enter == "keep" and before is not None and before.thin == stage.thin
    if stage.enter != "init" and not same:
        raise GrowBenchError(
            "rank, shared: they would discard what was learned; enter the stage by init, or leave them out"
        )
    if last:
        raise GrowBenchError("rank, shared: the last stage must train the stock target; leave them out")
    if stage.top is not None or stage.block is not None or stage.teacher:
        raise GrowBenchError(
            "rank, shared: such a model trains as a whole and without a teacher; leave out top, block and teacher"
        )


def check_warmup(run: Timeline, number: int, point: float) -> None:
    """Raise GrowBenchError if a warm-up that begins with a stage does not end before the next one, and the first finished point.

    point: that point. With budget.total a run that starts from a source has no points in its warm-up.
    """
    stage, warmup = run.plan.stages[number], run.warmup(number) / run.budget
    start = run.plan.start(number) + run.learning(number) / run.budget
    if number > 0 and stage.lr == "continue":
        return
    told, length = _told(run, warmup), run.plan.stages[run.continued(number)].until - start
    if warmup > length:
        raise GrowBenchError(
            f"{told} is longer than the stage (with those that continue it), which has {length:.3g}; use a shorter warm-up or a "
            "longer stage"
        )
    if number == 0 and not run.source and warmup >= (branch := run.study.budget.branch(run.own(point))):
        raise GrowBenchError(
            f"{told} does not end before the first point leaves the trunk; use less than {branch:g}, or a later first point"
        )


def _first(points: Sequence[float]) -> float:
    """Return the first point that is trained; 0 if there is none."""
    return next((point for point in points if point > 0), 0.0)


def check_warmups(run: Timeline) -> None:
    """Raise GrowBenchError if a warm-up of a run does not end before the next one, and before its first finished point."""
    first = _first(run.points) or (run.budget + run.source) / run.largest
    for number in range(len(run.plan.stages)):
        check_warmup(run, number, first)
    warmup, leaves = run.warmup(0) / run.budget, run.study.budget.branch(run.own(first))
    if leaves <= warmup + run.learning(0) / run.budget or leaves < run.grown():
        raise GrowBenchError(f"{_told(run, warmup)} does not end before the first point; use less")


def _told(run: Timeline, share: float) -> str:
    """Return the key that sets a run's warm-up, and its length. share: of the budget."""
    own, usual = run.options.get("warmup"), run.study.optimizer.warmup
    steps = usual if own is None else own
    length = f"{share:.3g} of the budget"
    if isinstance(steps, int):
        length = f"{steps} steps, {length},"
    return f"{'optimizer.' if own is None else ''}warmup: {length}"


def _check_length(run: Timeline, number: int) -> None:
    """Raise GrowBenchError if a stage is shorter than a step, or than the time to lift its masks."""
    stage, start = run.plan.stages[number], run.plan.start(number)
    length = stage.until - start
    if stage.mask > length + 1e-9:
        raise GrowBenchError(
            f"mask: {stage.mask:g} of the budget is longer than the stage, which has {length:.3g}; use less"
        )
    learning = run.learning(number)
    if learning and run.steps(stage.until, start * run.budget + learning, number) < 1:
        raise GrowBenchError(
            f"steps: learning the operator takes {learning / run.budget:.3g} of the budget, and leaves no step of the "
            f"stage's {length:.3g}; use fewer, or a larger budget"
        )
    if run.steps(stage.until, start * run.budget, number) < 1:
        raise GrowBenchError(
            f"until: {length:.3g} of the budget is less than one step; use a larger budget or a longer stage"
        )


def _check_growth(study: Study, method: Method, run: Timeline, before: ModelSpec, stage: Stage) -> None:
    """Raise GrowBenchError if a growth is impossible at these sizes, or what it adds would not learn."""
    if stage.enter not in ("grow", "source"):
        return
    small = study.source_spec(stage.spec.vocab) if stage.enter == "source" else before
    method.check(small, stage.spec, families.load(study.target.family).traits(), run.options)
    discover.called(Widening, method.widen, small, stage.spec, run.options, np.random.default_rng(0))
    depth = method.deepen(small.layers, stage.spec.layers, run.options)
    check_depth(depth, small.layers, stage.spec.layers)
    if stage.top is not None and stage.top < stage.spec.layers:
        _check_frozen(small, stage, depth)


def _check_frozen(small: ModelSpec, stage: Stage, depth: Depth) -> None:
    """Raise GrowBenchError if a layer or coordinates that a growth adds are frozen."""
    layers, top = stage.spec.layers, stage.top or stage.spec.layers
    if small.resized(layers=layers) != stage.spec:
        raise GrowBenchError(
            f"top: {small.short()} also grows wider, and frozen layers would never learn what is new; leave it out"
        )
    moved = [t for t in range(layers - top) if depth[t].sources != ((t, 1.0),)]
    if moved:
        raise GrowBenchError(
            f"top: layer {moved[0]} is new, but only the top {top} learn; use at least {layers - moved[0]}"
        )
