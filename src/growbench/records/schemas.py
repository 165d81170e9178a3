"""The shape of each kind of record. A record is checked when it is read: a wrong key or value is one line.

FLOPs, tokens and seconds are at least 0. Losses are in nats. None stands for what was not measured, and in `identity` and
`made_from` for what was not recorded: records of before version 2 do not know the digests of what they were made from.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from growbench.errors import GrowBenchError, shown
from growbench.records import identity
from growbench.records.finetuned import Finetune
from growbench.records.scored import Zeroshot
from growbench.records.shape import Amount, Count, Name, Record, Sha256, Shape, Share

REMEDY = "restore the file, or delete it and run its job again"


class Identity(Shape):
    """What a run was made from: the parts of records/identity.py. A search's has neither lr nor warmup."""

    version: int | None
    config: str
    options: dict[str, Any]
    plan: Sha256 | None
    method: Name
    growth: int | None
    family: int | None
    train: int | None
    corpus: Sha256 | None
    source: Name | None
    seed: Count
    lr: Amount | None = None
    warmup: Count | Literal["share"] | None = None
    share: Share
    precision: Name | None


class MadeOfModels(Shape):
    """What the attention record was made from: digests of the models by method, and of the corpus."""

    models: dict[str, Sha256] | None
    corpus: Sha256 | None
    precision: Name | None


class Spec(Shape):
    family: Name
    layers: Count
    hidden: Count
    heads: Count
    ffn: Count
    vocab: Count
    max_length: Count
    kv_heads: Count
    head_size: Count


class Stage(Shape):
    spec: Spec
    until: Share
    enter: Name
    optimizer: Name
    lr: Name
    shift: float
    slope: float | None
    mask: float
    teacher: float
    temperature: float
    top: int | None
    block: int | None
    pool: int
    cut: int
    rank: float | None
    shared: bool


class Point(Shape):
    """One finished point; costs are those of the run until there, its cool-down included. Right after growth, fraction is 0.

    flops_total, flops_total_electra: None if nobody knows what the source cost. accuracy: of models of images.
    """

    point: Name
    fraction: Annotated[float, Field(ge=0, le=1)]
    budget_flops: Amount
    loss: float
    flops: Amount
    flops_total: Amount | None
    flops_electra: Amount
    flops_total_electra: Amount | None
    steps: Count
    tokens: Count
    wall_seconds: Amount
    tail_energy: float | None
    model: Sha256 | None
    accuracy: Annotated[float, Field(ge=0, le=1)] | None = None


class Entry(Shape):
    """What one phase of one stage cost; the source's stage is -1."""

    phase: Literal["source", "grow", "eval", "trunk", "cooldown"]
    stage: Annotated[int, Field(ge=-1)]
    flops: Amount
    flops_electra: Amount
    tokens: Count
    steps: Count
    wall_seconds: Amount
    cpu_seconds: Amount
    peak_memory_mb: Amount


class Pretrain(Record):
    """A run. source_restored: how much higher the loss of the source that it grew is than that of the source's record (nats).

    It is there only if the source was trained again for a record that came without its models, and is not the very same.
    """

    kind: Literal["pretrain"]
    identity: Identity
    spec: Spec
    parameters: Count | None = None
    curve_of: Name | None = None
    source_spec: Spec | None
    options: dict[str, Any]
    plan: Annotated[list[Stage], Field(min_length=1)]
    initial_loss: float
    points: Annotated[list[Point], Field(min_length=1)]
    curve: Sha256
    documents: Sha256 | None = None  # runs of before train.VERSION 2 have none
    ledger: list[Entry]
    unigram_entropy: float
    entropy_floor: float | None
    source_restored: float | None = None

    @model_validator(mode="after")
    def agree(self) -> Self:
        """Refuse points that do not follow one another."""
        for before, after in zip(self.points, self.points[1:], strict=False):
            if not (before.fraction < after.fraction and before.flops <= after.flops):
                raise ValueError(f"point {after.point} does not follow {before.point}")
        return self


class Trial(Shape):
    """One learning rate and warm-up (steps; None: a share of the budget); a trial that diverged has no loss."""

    lr: Amount
    warmup: Count | None = None
    loss: float | None
    flops: Amount | None


HALF_STEP = 1.42  # the root of 2, and rounding


class Search(Record):
    kind: Literal["search"]
    identity: Identity
    share: Share
    lr: Amount
    warmup: Count | None = None
    bracketed: bool | None = None
    margin: Amount | None = None
    trials: Annotated[list[Trial], Field(min_length=1)]

    @model_validator(mode="after")
    def agree(self) -> Self:
        """Refuse a choice that is not the best trial, or of a bracketed search, not within half a step of it."""
        finite = [trial for trial in self.trials if trial.loss is not None]
        if not finite:
            raise ValueError("lr is not that of the trial with the lowest loss")
        best = min(finite, key=lambda trial: trial.loss or 0.0)
        far = 1.0 if self.bracketed is None else HALF_STEP
        if not (best.lr / far <= self.lr <= best.lr * far and best.warmup == self.warmup):
            raise ValueError("lr is not that of the trial with the lowest loss")
        return self


class Profile(Shape):
    first: float
    weights: dict[str, float]


class HeadMap(Shape):
    layer: Count
    head: Count
    weights: list[list[float]]


class Attending(Shape):
    """Where the heads of one model look."""

    method: Name
    layers: Count
    heads: Count
    likeness: float | None
    profiles: list[Profile]
    maps: list[HeadMap]


class Attention(Record):
    kind: Literal["attention"]
    made_from: MadeOfModels
    sequences: Count
    length: Count
    models: list[Attending]


SHAPES: dict[str, type[Record]] = {
    "search": Search,
    "pretrain": Pretrain,
    "finetune": Finetune,
    "zeroshot": Zeroshot,
    "attention": Attention,
}


def check(path: Path, kind: str, values: Mapping[str, Any]) -> None:
    """Raise GrowBenchError, naming the file, unless these are the values of a record of this kind, as they were written."""
    try:
        SHAPES[kind].model_validate(values)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, fault["loc"]))
        place = shown(place if len(place) <= 80 else f"{place[:77]}...")
        reason = str(fault["msg"]).removeprefix("Value error, ")
        raise GrowBenchError(f"{path}: {f'{place}: ' if place else ''}{reason}; {REMEDY}") from error
    if values["digest"] != digest_of(values):
        raise GrowBenchError(f"{path}: changed after it was written, its digest does not match; {REMEDY}")


def digest_of(values: Mapping[str, Any]) -> str | None:
    """Return the digest of everything else in a record; None if it holds a number that is not finite."""
    try:
        return identity.digest({key: value for key, value in values.items() if key != "digest"})
    except ValueError:
        return None
