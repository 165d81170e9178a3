"""The sections of a study's config, frozen. Their words are explained in config/demo.yaml.

Nothing here reads a task, a method or a model.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from growbench.plan.lengths import predicted


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
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

    def positions(self, length: int) -> int:
        """Return how many positions of a sequence of `length` tokens are predicted."""
        return predicted(length, self.mask_rate if self.kind == "mlm" else None)


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceConfig:
    layers: int
    hidden: int
    heads: int
    ffn: int
    steps: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetConfig:
    family: str
    layers: int
    hidden: int
    heads: int
    ffn: int


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetConfig:
    steps: int
    points: tuple[float, ...]
    cooldown: float
    protocol: Literal["trunk", "paper"]

    def branch(self, point: float) -> float:
        """Return the share of the largest budget at which the run to a finished point leaves the trunk."""
        return point if self.protocol == "paper" else point * (1 - self.cooldown)


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerConfig:
    lr: float
    source_lr: float
    warmup: float
    batch: int
    weight_decay: float
    betas: tuple[float, float]
    clip: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchConfig:
    """LRs that are tried for every method and the source before their runs. share: of the budget, that a trial takes."""

    lrs: tuple[float, ...]
    share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    init_std: float
    dropout: float
    eval_every: float
    eval_sequences: int
    precision: str
    compile: bool
    device: str
    processes: int
    accumulate: int
    shard: str
    threads: int
    together: bool
    checkpoint_seconds: float

    @property
    def gpus(self) -> int:
        """GPUs that a pre-training job asks for: one for each process where the study is not to run without."""
        return self.processes if self.device == "gpu" else 0


@dataclass(frozen=True, kw_only=True, slots=True)
class TasksConfig:
    source: str
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class FinetuneConfig:
    """How finished points are fine-tuned. source: whether the source is too. lr: one, or the list that protocol `grid` tries.
    tasks: what a task changes.
    """

    points: tuple[float, ...]
    seeds: tuple[int, ...]
    source: bool
    protocol: Literal["single", "grid"]
    epochs: int
    lr: float | tuple[float, ...]
    decay: Literal["linear", "cosine"]
    batch: int
    warmup: float
    weight_decay: float
    dropout: float
    max_length: int
    max_train: int | None
    doc_stride: int
    answer_length: int
    tasks: dict[str, dict[str, Any]]
    threads: int

    def of(self, task: str) -> "FinetuneConfig":
        """Return the settings of one task."""
        return replace(self, **self.tasks.get(task, {}))

    @property
    def rates(self) -> tuple[float, ...]:
        """The LRs that are tried."""
        return (self.lr,) if isinstance(self.lr, int | float) else tuple(self.lr)

    @property
    def longest(self) -> int:
        """Tokens of the longest example of any task."""
        return max(self.of(task).max_length for task in ("", *self.tasks))


@dataclass(frozen=True, kw_only=True, slots=True)
class ZeroshotConfig:
    source: str
    names: tuple[str, ...]
    points: tuple[float, ...]
    stride: int
    batch: int
    threads: int


SECTIONS: dict[str, type] = {
    "data": DataConfig,
    "corpus": CorpusConfig,
    "objective": ObjectiveConfig,
    "source": SourceConfig,
    "target": TargetConfig,
    "budget": BudgetConfig,
    "optimizer": OptimizerConfig,
    "search": SearchConfig,
    "train": TrainConfig,
    "tasks": TasksConfig,
    "finetune": FinetuneConfig,
    "zeroshot": ZeroshotConfig,
}
