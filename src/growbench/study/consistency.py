"""Check a study's values against one another: sizes, budgets, inputs and methods that contradict each other."""

from collections.abc import Sequence

from growbench import families
from growbench.errors import GrowBenchError, nearest
from growbench.runtime import launch
from growbench.spec import check_growth
from growbench.study import image_check, schema
from growbench.study.budget import BudgetConfig
from growbench.study.sections import TASK_NAMES, FinetuneConfig
from growbench.study.squad import SQUAD_TASKS, least_room
from growbench.study.study import Study, point_name

ANY_MODEL = ("pairs", "BLiMP")  # test sets that a masked model can be asked of


def check(study: Study) -> None:
    """Raise GrowBenchError if values that are each allowed contradict each other.

    `check_sizes` checks the sizes, and method_check.py the methods.
    """
    _check_source(study)
    _check_budget(study)
    _check_points("source.points", study.source.points, study.source.points)
    _check_split(study)
    if study.images is None:
        _check_inputs(study)
        _check_zeroshot(study)
    else:
        image_check.check(study)
    _check_finetune(study)


def check_sizes(study: Study, *, shrinks: bool = False) -> None:
    """Raise GrowBenchError for a family that is not known or does not fit the objective, and for impossible sizes.

    shrinks: whether a method of the study makes a smaller model of the source.
    """
    family, known = study.target.family, families.names()
    if family not in known:
        raise GrowBenchError(f"target.family: {families.unknown(family, nearest(family, known))}")
    kind, able = study.objective.kind, families.load(family).objective
    if kind != able:
        others = ", ".join(other.name for other in families.loaded() if other.objective == kind)
        raise GrowBenchError(f"objective.kind: {kind}, but {family} is trained with {able}; for {kind} use {others}")
    image_check.check_section(study)
    vocab = study.corpus.vocab
    source, target = study.source_spec(vocab), study.target_spec(vocab)
    for name, spec in (("source", source), ("target", target)):
        if families.load(family).even_heads and spec.head_size % 2:
            raise GrowBenchError(
                f"{name}.heads: {spec.heads} heads of size {spec.head_size}, but {family} rotates coordinates in pairs; "
                f"use a divisor of {name}.hidden {spec.hidden} that gives an even head size"
            )
    if not shrinks:
        check_growth(source, target)
    _check_given(study.budget)


def _check_given(budget: BudgetConfig) -> None:
    """Raise GrowBenchError unless a budget is given in one way."""
    ratios = budget.tokens_per_parameter
    for key, value in {"steps": budget.steps, "points": budget.points}.items():
        if ratios is None and value is None:
            raise GrowBenchError(f"budget.{key}: null, but budget.tokens_per_parameter is null, too; give one of them")
        if ratios is not None and value is not None:
            raise GrowBenchError(
                f"budget.tokens_per_parameter: {list(ratios)}, but budget.{key} is {schema.shown(value)}; use null for "
                "one of them"
            )


def _check_source(study: Study) -> None:
    """Raise GrowBenchError for a cost of a source that is trained here, or without its origin, and for inputs that are too long."""
    if study.images and study.source.path is not None:
        raise GrowBenchError(
            f"source.path: {study.source.path}, but the study is of images, whose source is trained here; use null"
        )
    source, longest = study.source, max(study.objective.length, study.finetune.longest)
    for key in ("flops", "cited"):
        if source.path is None and getattr(source, key) is not None:
            raise GrowBenchError(
                f"source.{key}: {schema.shown(getattr(source, key))}, but source.path is null: what is trained here is "
                "counted; use null"
            )
    if (source.flops is None) != (source.cited is None):
        lone, other = ("flops", "cited") if source.cited is None else ("cited", "flops")
        raise GrowBenchError(f"source.{lone}: given without source.{other}; give both, or use null for both")
    if study.source_unpriced and study.budget.total:
        raise GrowBenchError(
            "budget.total: true, but nobody knows what the source cost; give source.flops and source.cited, or use false"
        )
    if study.checkpoint and longest > study.checkpoint.spec.max_length:
        key = "objective.length" if longest == study.objective.length else "finetune.max_length"
        raise GrowBenchError(
            f"{key}: {longest} tokens, but the checkpoint of source.path reads at most {study.checkpoint.spec.max_length}; "
            "use at most as many"
        )


def _check_budget(study: Study) -> None:
    budget, points = study.budget, study.budget.shares
    key, given = "tokens_per_parameter", budget.tokens_per_parameter
    if given is None:
        key, given = "points", points
    names = _check_points(f"budget.{key}", points, given)
    for section, chosen in (("finetune", study.finetune.points), ("zeroshot", study.zeroshot.points or ())):
        for point in chosen:
            if point_name(point) not in names:
                shares = ", ".join(f"{p:.4g}" for p in points)
                near = min(points, key=lambda p: abs(p - point))
                raise GrowBenchError(
                    f"{section}.points: {point} is not one of the finished points of budget.{key} ({shares}); "
                    f"nearest: {near:.4g}"
                )
    warmup = study.optimizer.warmup
    if not isinstance(warmup, int) and warmup["share"] >= budget.branch(budget.first):
        raise GrowBenchError(
            f"optimizer.warmup: {warmup['share']} does not end before the first point leaves the trunk; "
            f"use less than {budget.branch(budget.first):g}, or a later first point in budget.points"
        )


def _check_points(key: str, points: Sequence[float], given: Sequence[float]) -> list[str]:
    """Return the names of points. Raises GrowBenchError unless they rise to 1 and their names differ.

    given: what the config has in their place, under `key`.
    """
    if list(points) != sorted(points) or points[-1] != 1.0:
        wanted = "shares that end with 1.0" if points is given else "numbers"
        raise GrowBenchError(f"{key}: {list(given)} is not allowed; use increasing {wanted}")
    names = [point_name(p) for p in points]
    if len(set(names)) < len(names) or "p0" in names[points[0] == 0 :]:
        of = "" if points is given else " as shares of the largest,"
        raise GrowBenchError(
            f"{key}: {list(given)} is not allowed; use values that still differ,{of} when rounded to whole percents"
        )
    return names


def _check_split(study: Study) -> None:
    train = study.train
    named = f"train.nodes {train.nodes} x " * (train.nodes > 1) + f"train.processes {train.processes}"
    launch.check_split(study.optimizer.batch, train.ranks, train.accumulate, named)
    if train.shard == "always" and train.ranks == 1:
        raise GrowBenchError("train.shard: always, but train.processes is 1; use auto, or more processes")


def _check_inputs(study: Study) -> None:
    corpus, tasks = study.corpus, study.tasks
    for key in ("train", "valid", "test"):
        if corpus.source == "synthetic" and getattr(corpus, key) is not None:
            raise GrowBenchError(
                f"corpus.{key}: {getattr(corpus, key)!r}, but corpus.source is synthetic, which reads no files; use null, or "
                "set corpus.source to local or hub"
            )
    if corpus.tokenizer != "pretrained" and corpus.tokenizer_name is not None:
        raise GrowBenchError(
            f"corpus.tokenizer_name: {corpus.tokenizer_name!r}, but corpus.tokenizer is {corpus.tokenizer}; use null, or "
            "set corpus.tokenizer to pretrained"
        )
    if corpus.source != "synthetic" and corpus.train is None:
        raise GrowBenchError(f"corpus.train: null, but corpus.source is {corpus.source}; name the files or the dataset")
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
            f"tasks.source: toyglue is made from the synthetic language, but corpus.source is {corpus.source}; use local or hub"
        )
    known = TASK_NAMES[tasks.source]
    for name in tasks.names:
        if name not in known:
            raise GrowBenchError(
                f"tasks.names: '{name}' is not a task of tasks.source {tasks.source}; {nearest(name, known)}"
            )


def _check_zeroshot(study: Study) -> None:
    if not study.zeroshot.names:
        return
    family = families.load(study.target.family)
    causal = [name for name in study.zeroshot.names if name not in ANY_MODEL]
    if causal and (family.objective != "clm" or study.objective.kind != "clm"):
        able = ", ".join(other.name for other in families.loaded() if other.objective == "clm")
        raise GrowBenchError(
            f"zeroshot.names: {causal[0]} needs a causal model, but target.family is {family.name} and objective.kind is "
            f"{study.objective.kind}; use clm and one of {able}, or only {' and '.join(ANY_MODEL)}"
        )
    most = study.objective.length - 2  # beside [CLS] and the token that ends a document
    if study.zeroshot.stride > most:
        raise GrowBenchError(
            f"zeroshot.stride: {study.zeroshot.stride} is more than a window of {study.objective.length} tokens scores; "
            f"use at most {most}, or a longer objective.length"
        )


def _check_finetune(study: Study) -> None:
    finetune, names = study.finetune, study.tasks.names
    for name in finetune.tasks:
        if name not in names:
            raise GrowBenchError(f"finetune.tasks.{name}: not one of tasks.names; {nearest(name, names)}")
    several = [place for place, own in _settings(study).items() if len(own.rates) > 1]
    if several and finetune.protocol == "single":
        raise GrowBenchError(
            f"{several[0]}.lr: a list, but finetune.protocol is single; give one LR, or set finetune.protocol to held_out or grid"
        )
    if not several and finetune.protocol in ("grid", "held_out"):
        raise GrowBenchError(
            f"finetune.lr: {finetune.lr} is not a list, but finetune.protocol is {finetune.protocol}; list the LRs to try"
        )
    for name in names:
        if name in SQUAD_TASKS:
            _check_spans(study, name)


def _settings(study: Study) -> dict[str, FinetuneConfig]:
    """Return the settings that tasks are fine-tuned with, by their place in the config."""
    own = study.finetune.tasks
    return {f"finetune.tasks.{n}" if n in own else "finetune": study.finetune.of(n) for n in study.tasks.names}


def _check_spans(study: Study, name: str) -> None:
    if study.finetune.protocol == "probe":
        raise GrowBenchError(
            f"tasks.names: {name} asks for spans of a text, which finetune.protocol probe cannot find; leave it out, or use "
            "protocol single or grid"
        )
    if study.finetune.protocol == "held_out":
        raise GrowBenchError(
            f"tasks.names: {name} has windows of questions, of which finetune.protocol held_out sets none aside; leave it out, "
            "or use protocol single or grid"
        )
    able = [family.name for family in families.loaded() if family.spans]
    if study.target.family not in able:
        raise GrowBenchError(
            f"tasks.names: {name} needs a stock question-answering head, which {study.target.family} does not have; "
            f"leave it out, or use one of {', '.join(able)}"
        )
    own = study.finetune.of(name)
    room = least_room(own.max_length)
    if own.doc_stride > room:
        remedy = f"use at most {room} or a longer max_length" if room > 0 else "use a longer max_length"
        raise GrowBenchError(
            f"finetune.doc_stride: {own.doc_stride} is more than the {max(room, 0)} tokens of context that a window of "
            f"max_length {own.max_length} always holds for {name}; {remedy}"
        )
