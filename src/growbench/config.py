"""Study: one config file, parsed once, checked once, frozen. Its words are explained in config/demo.yaml.

No torch here: the Snakefile loads the study each time it is parsed.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from growbench import schema
from growbench.errors import GrowBenchError, nearest
from growbench.plan import Plan
from growbench.spec import ModelSpec

DATA_VARIABLE = "GROWBENCH_DATA"
ALL = "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    dir: Path | None
    repeat: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusConfig:
    source: str
    train: str | tuple[str, ...] | None
    valid: str | tuple[str, ...] | None
    subset: str | None
    text_key: str
    documents: str
    valid_fraction: float
    max_tokens: int | None
    tokenizer: str
    tokenizer_name: str | None
    vocab: int
    lowercase: bool
    seed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectiveConfig:
    kind: str
    length: int
    mask_rate: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    layers: int
    hidden: int
    heads: int
    ffn: int
    steps: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    family: str
    layers: int
    hidden: int
    heads: int
    ffn: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    steps: int
    points: tuple[float, ...]
    cooldown: float
    protocol: str

    def branch(self, point: float) -> float:
        """Return the share of the largest budget at which the run to a finished point leaves the trunk."""
        return point if self.protocol == "paper" else point * (1 - self.cooldown)


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimizer:
    lr: float
    source_lr: float
    warmup: float
    batch: int
    weight_decay: float
    betas: tuple[float, float]
    clip: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Train:
    init_std: float
    dropout: float
    eval_every: float
    eval_sequences: int
    precision: str
    compile: bool
    threads: int
    checkpoint_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Tasks:
    source: str
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finetune:
    points: tuple[float, ...]
    seeds: tuple[int, ...]
    epochs: int
    lr: float
    batch: int
    warmup: float
    weight_decay: float
    dropout: float
    max_length: int
    max_train: int | None
    threads: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """One study. `methods` maps each method's name to its options (empty for the defaults)."""

    study: str
    seeds: tuple[int, ...]
    data: Data
    corpus: CorpusConfig
    objective: ObjectiveConfig
    source: Source
    target: Target
    methods: dict[str, dict[str, Any]]
    budget: Budget
    optimizer: Optimizer
    train: Train
    tasks: Tasks
    finetune: Finetune

    def source_spec(self, vocab: int) -> ModelSpec:
        """Return the small model's shape over a vocabulary of this size."""
        return self._spec(self.source, vocab)

    def target_spec(self, vocab: int) -> ModelSpec:
        """Return the big model's shape over a vocabulary of this size."""
        return self._spec(self.target, vocab)

    def plan(self, method: str) -> Plan:
        """Return a method's stages under this study's sizes and options."""
        from growbench import methods

        chosen = methods.load(method)
        options = chosen.check_options(self.methods.get(method))
        return chosen.plan(self.source_spec(self.corpus.vocab), self.target_spec(self.corpus.vocab), options)

    def finetuned_points(self) -> tuple[str, ...]:
        """Return the names of the finished points that are fine-tuned."""
        return tuple(point_name(point) for point in self.finetune.points)

    def trained_part(self) -> dict[str, Any]:
        """Return the values that every trained model of the study depends on; its digest tells configs apart."""
        whole = asdict(self)
        whole["train"] = {k: v for k, v in whole["train"].items() if k not in ("threads", "checkpoint_seconds")}
        names = ("corpus", "objective", "source", "target", "optimizer", "train", "budget")
        return {**{name: whole[name] for name in names}, "repeat": self.data.repeat}

    def finetuned_part(self) -> dict[str, Any]:
        """Return the values that a fine-tuned model depends on besides its checkpoint."""
        values = asdict(self.finetune)
        return {"tasks": asdict(self.tasks), **{k: v for k, v in values.items() if k not in ("points", "threads")}}

    def _spec(self, sizes: Source | Target, vocab: int) -> ModelSpec:
        return ModelSpec(
            family=self.target.family,
            layers=sizes.layers,
            hidden=sizes.hidden,
            heads=sizes.heads,
            ffn=sizes.ffn,
            vocab=vocab,
            max_length=max(self.objective.length, self.finetune.max_length),
        )


SECTIONS: dict[str, type] = {
    "data": Data,
    "corpus": CorpusConfig,
    "objective": ObjectiveConfig,
    "source": Source,
    "target": Target,
    "budget": Budget,
    "optimizer": Optimizer,
    "train": Train,
    "tasks": Tasks,
    "finetune": Finetune,
}


def point_name(fraction: float) -> str:
    """Return the name of a finished point: its share of the largest budget in percent."""
    return f"p{round(100 * fraction)}"


def load(
    config: str | Path | Mapping[str, Any], overrides: Mapping[str, Any] | None = None, name: str | None = None
) -> Study:
    """Return the study of a YAML file or of its mapping; `overrides` is merged in, section by section.

    Raises GrowBenchError, one line with the file (or `name`), the key, its value, what is allowed and the nearest match.
    """
    values, name = (config, name) if isinstance(config, Mapping) else (read(config), name or str(config))
    try:
        return _study(merged(values, overrides or {}))
    except GrowBenchError as error:
        raise GrowBenchError(f"{name}: {error}" if name else str(error)) from error


def gather(files: Sequence[str | Path], changes: Sequence[str] = ()) -> Study:
    """Return the study of config files, merged in order, with changes such as `optimizer.lr=1e-3` merged in last."""
    values: dict[str, Any] = {}
    for path in files:
        values = merged(values, read(path))
    for text in changes:
        values = merged(values, change(text))
    return load(values, name=" + ".join(map(str, files)))


def change(text: str) -> dict[str, Any]:
    """Return `optimizer.lr=1e-3` as a nested mapping; the value is YAML."""
    key, equals, value = text.partition("=")
    if not equals or not all(words := key.split(".")):
        raise GrowBenchError(f"{text}: not of the form KEY=VALUE; write, for example, optimizer.lr=1e-3")
    try:
        found: Any = yaml.load(value, Loader=_Loader)
    except yaml.YAMLError as error:
        raise GrowBenchError(f"{text}: the value is not YAML; quote it") from error
    for word in reversed(words):
        found = {word: found}
    return dict(found)


def read(path: str | Path) -> dict[str, Any]:
    """Return a config file's mapping. Raises GrowBenchError for a missing or unreadable file and for a repeated key."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise GrowBenchError(f"{path}: {reason}; --config names a study, such as config/demo.yaml") from error
    try:
        values = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise GrowBenchError(f"{path}:{where} {' '.join(str(problem).split())}; correct the YAML") from error
    if not isinstance(values, dict):
        raise GrowBenchError(f"{path}: not a list of keys and values; config/demo.yaml shows the keys")
    return values


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `over`; mappings are merged, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def _study(values: Mapping[str, Any]) -> Study:
    values = schema.exponents(values)
    schema.validate(values)
    parts: dict[str, Any] = {key: kind(**_tuples(values[key])) for key, kind in SECTIONS.items()}
    folder = os.environ.get(DATA_VARIABLE) or parts["data"].dir
    parts["data"] = Data(dir=Path(folder).expanduser() if folder else None, repeat=parts["data"].repeat)
    options = _chosen(values["methods"])
    study = Study(study=values["study"], seeds=tuple(values["seeds"]), methods=options, **parts)
    check(study)
    return study


def _chosen(given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Options by method name: `all` stands for every method that grows, `name: false` leaves one out."""
    from growbench import methods

    named = {str(name): options for name, options in given.items() if name != ALL}
    everything = dict.fromkeys(n for n in methods.names() if not methods.load(n).shrinks) if ALL in given else {}
    for name in named:
        methods.load(name)
    return {name: dict(options or {}) for name, options in {**everything, **named}.items() if options is not False}


def _tuples(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in section.items()}


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
        if stage.enter != "init":
            method.check(before, stage.spec, families.load(study.target.family).traits(), options)
            method.widen(before, stage.spec, options, np.random.default_rng(0))
            method.deepen(before.layers, stage.spec.layers, options)
        before = stage.spec


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping; plain YAML takes the last one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = str(key_node.value)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key}: this key stands there twice, give it once", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)
