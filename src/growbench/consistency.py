"""What a study's values may not say together: sizes, budgets, inputs and methods that contradict one another."""

from pathlib import Path

import numpy as np

from growbench import schema
from growbench.errors import GrowBenchError, nearest
from growbench.study import Study, point_name


def check(study: Study) -> None:
    """Raise GrowBenchError where values that are each allowed contradict one another."""
    _check_sizes(study)
    _check_budget(study)
    _check_inputs(study)
    _check_methods(study)


def _check_sizes(study: Study) -> None:
    families = sorted(p.stem for p in (Path(__file__).parent / "families").glob("[!_]*.py"))
    if study.target.family not in families:
        raise GrowBenchError(
            f"target.family: '{study.target.family}' is not known; {nearest(study.target.family, families)}"
        )
    for name, sizes in (("source", study.source), ("target", study.target)):
        if sizes.hidden % sizes.heads:
            near = min(
                (d for d in range(1, sizes.hidden + 1) if sizes.hidden % d == 0), key=lambda d: abs(d - sizes.heads)
            )
            raise GrowBenchError(
                f"{name}.heads: {sizes.heads} does not divide {name}.hidden {sizes.hidden}; use a divisor, nearest: {near}"
            )
    for axis in ("layers", "hidden", "heads", "ffn"):
        small, big = getattr(study.source, axis), getattr(study.target, axis)
        if big < small:
            raise GrowBenchError(f"target.{axis}: {big} is smaller than source.{axis} {small}; use at least {small}")


def _check_budget(study: Study) -> None:
    points, budget = study.budget.points, study.budget
    if list(points) != sorted(points) or points[-1] != 1.0:
        raise GrowBenchError(f"budget.points: {list(points)} is not allowed; use rising shares, the last one 1.0")
    names = [point_name(p) for p in points]
    if len(set(names)) < len(names) or "p0" in names:
        raise GrowBenchError(f"budget.points: {list(points)} is not allowed; use shares that differ in whole percents")
    for point in study.finetune.points:
        if point not in points:
            given = ", ".join(str(p) for p in points)
            near = min(points, key=lambda p: abs(p - point))
            raise GrowBenchError(f"finetune.points: {point} is not one of budget.points ({given}); nearest: {near}")
    if study.optimizer.warmup >= budget.branch(points[0]):
        raise GrowBenchError(
            f"optimizer.warmup: {study.optimizer.warmup} is not over before the first point leaves the trunk; "
            f"use less than {budget.branch(points[0]):g}, or a later first point in budget.points"
        )


def _check_inputs(study: Study) -> None:
    corpus, tasks = study.corpus, study.tasks
    if corpus.source != "synthetic" and corpus.train is None:
        raise GrowBenchError(f"corpus.train: null, but corpus.source is {corpus.source}; name its files or its dataset")
    if corpus.source == "synthetic" and corpus.max_tokens is None:
        raise GrowBenchError("corpus.max_tokens: null, but the synthetic language never ends; give a number of tokens")
    if corpus.tokenizer == "word" and corpus.source != "synthetic":
        raise GrowBenchError(
            f"corpus.tokenizer: word is for the synthetic language, but corpus.source is {corpus.source}; "
            "use wordpiece, bpe or pretrained"
        )
    if corpus.tokenizer == "pretrained" and corpus.tokenizer_name is None:
        raise GrowBenchError(
            "corpus.tokenizer_name: null, but corpus.tokenizer is pretrained; name a folder or a hub model"
        )
    if tasks.source == "toyglue" and corpus.source != "synthetic":
        raise GrowBenchError(
            f"tasks.source: toyglue is made of the synthetic language, but corpus.source is {corpus.source}; use local or hub"
        )
    known = schema.task_names(tasks.source)
    for name in tasks.names:
        if name not in known:
            raise GrowBenchError(f"tasks.names: '{name}' is not a task of {tasks.source}; {nearest(name, known)}")


def _check_methods(study: Study) -> None:
    from growbench import methods

    if "scratch" not in study.methods:
        raise GrowBenchError("methods.scratch: missing; every saving is measured against it, add `scratch:`")
    for name, options in study.methods.items():
        methods.load(name).check_options(options)
        try:
            _check_growths(study, name)
        except GrowBenchError as error:
            raise GrowBenchError(f"methods.{name}: {error}") from error
        grown, first = study.plan(name).last_growth, study.budget.points[0]
        if study.budget.branch(first) < grown:
            least = next(p / 100 for p in range(1, 101) if study.budget.branch(p / 100) >= grown)
            raise GrowBenchError(
                f"budget.points: {first} leaves the trunk at {study.budget.branch(first):g}, before {name} has grown to "
                f"the target at {grown:g}; use at least {least:g}"
            )


def _check_growths(study: Study, name: str) -> None:
    """Raise where one of a method's growths is impossible at these sizes."""
    from growbench import families, methods

    method = methods.load(name)
    options = method.check_options(study.methods[name])
    before = study.source_spec(study.corpus.vocab)
    for stage in study.plan(name).stages:
        if stage.pool > 1 and study.objective.kind != "mlm":
            raise GrowBenchError(
                f"pooled embeddings would show a causal model its future, but objective.kind is {study.objective.kind}; "
                "pool by 1 in every stage"
            )
        if stage.enter != "init":
            method.check(before, stage.spec, families.load(study.target.family).traits(), options)
            method.widen(before, stage.spec, options, np.random.default_rng(0))
            method.deepen(before.layers, stage.spec.layers, options)
        before = stage.spec
