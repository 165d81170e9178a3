"""The sections of a study's config, frozen. One source for each key: its type, its bounds and what it means.

The checks of a config (schema.py) and the JSON schema in workflow/schemas both come from these classes.
No section reads a task, a method or a model.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field, with_config
from pydantic.dataclasses import dataclass
from typing_extensions import TypedDict

from growbench.plan.lengths import predicted
from growbench.study.budget import BudgetConfig
from growbench.study.images import ImagesConfig
from growbench.study.optimizer import OptimizerConfig, SearchConfig
from growbench.study.squad import SQUAD_TASKS
from growbench.study.types import (
    STRICT,
    WHOLE,
    AnswerLength,
    Cost,
    Count,
    Different,
    Epochs,
    Files,
    Flag,
    Folder,
    Fraction,
    Options,
    Points,
    Rate,
    Rates,
    Seeds,
    Share,
    Size,
    Starts,
    Steps,
    StudyName,
    TestSet,
    Text,
    Threads,
    Tokens,
)

OFFICIAL_TASKS = ("CoLA", "SST-2", "MRPC", "STS-B", "QQP", "MNLI", "QNLI", "RTE", "WNLI", *SQUAD_TASKS)
TASK_NAMES = {  # allowed in tasks.names, by tasks.source
    "toyglue": ("acceptability", "topic", "paraphrase", "entailment", "similarity"),
    "local": OFFICIAL_TASKS,
    "hub": OFFICIAL_TASKS,
    "toyimages": (),
}


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class DataConfig:
    """Files that a study reads."""

    dir: Folder | None
    """Folder with wikipedia/, glue/ and so on; GROWBENCH_DATA overrides it."""
    repeat: Flag
    """Whether text may be read more than once, and the source's text again by the target."""


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class CorpusConfig:
    """The text that models are pre-trained on, and its tokenizer."""

    source: Literal["synthetic", "local", "hub"]
    """Where the text comes from: generated, files below data.dir, or a dataset on the hub."""
    train: Files
    """local: files or globs below data.dir; hub: dataset name."""
    valid: Files
    """Like train; null splits train by document. Without `test`, half of its documents choose and half are reported."""
    test: Files
    """Like train: what is reported; all of valid then chooses."""
    subset: Text | None
    """hub: configuration name of the dataset."""
    text_key: Text
    """Field of a hub or JSONL row that holds the text."""
    documents: Literal["blank_line", "line"]
    """What separates documents in local text."""
    valid_fraction: Annotated[float, Field(strict=True, gt=0, le=0.5)]
    """Share of documents held out when valid is null."""
    max_tokens: Count | None
    """Training tokens to stop after; null takes all."""
    tokenizer: Literal["word", "wordpiece", "bpe", "pretrained"]
    """What turns text into tokens; word is for the synthetic language."""
    tokenizer_name: Text | None
    """pretrained: a folder or a hub name."""
    vocab: Annotated[int, Field(strict=True, ge=32, le=1_000_000), WHOLE]
    """Size of a vocabulary that is trained here."""
    lowercase: Flag
    """Whether text is lower-cased."""
    seed: Annotated[int, Field(strict=True, ge=0), WHOLE]
    """Seed of the generated language and of the split by document."""


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class ObjectiveConfig:
    """What pre-training predicts."""

    kind: Literal["mlm", "clm", "classification"]
    """Masked (mlm) or causal (clm) language modeling, or classification of images."""
    length: Tokens
    """Tokens of one packed sequence; of an image, its patches and the special tokens."""
    mask_rate: Annotated[float, Field(strict=True, gt=0, lt=1)]
    """Share of positions that are predicted (mlm)."""

    def positions(self, length: int) -> int:
        """Return how many positions of a sequence of `length` tokens are predicted; of an image, its class alone."""
        if self.kind == "classification":
            return 1
        return predicted(length, self.mask_rate if self.kind == "mlm" else None)


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class SourceConfig:
    """The small trained model that growing methods start from: trained here, or a checkpoint (`path`)."""

    path: Text | None
    """A trained checkpoint in its place: a Hugging Face directory or a hub name. It sets the other sizes, target.family and the tokenizer."""
    flops: Cost | None
    """What the training of this checkpoint cost, in FLOPs; null: not known."""
    cited: Text | None
    """Where `flops` is from."""
    layers: Size
    """Transformer layers."""
    hidden: Size
    """Width of the residual stream."""
    heads: Size
    """Attention heads."""
    ffn: Size
    """Width of the feed-forward layers."""
    steps: Steps
    """Training budget of the source, in its own steps."""
    points: Points
    """Its finished points, as shares of this budget; a method grows the last one, or its own `source_point`."""


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class TargetConfig:
    """The big model that is wanted."""

    family: str
    """Architecture: the name of a file in families/."""
    layers: Size
    """Transformer layers."""
    hidden: Size
    """Width of the residual stream."""
    heads: Size
    """Attention heads."""
    ffn: Size
    """Width of the feed-forward layers."""


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class TrainConfig:
    """How models are pre-trained, and on what."""

    init_std: Fraction
    """Standard deviation of new weights."""
    dropout: Share
    """Dropout during pre-training."""
    eval_every: Fraction
    """Share of the largest budget between two validation losses."""
    eval_sequences: Size
    """Most validation sequences along the trunk, evenly spaced over the text; the same for all methods and seeds."""
    final_sequences: Size
    """The same at finished points."""
    precision: Literal["auto", "float32", "bf16", "float64"]
    """Arithmetic of training; auto is bf16 on a GPU, and on a CPU with instructions for it, else float32."""
    compile: Flag
    """Whether torch.compile is used."""
    device: Literal["auto", "cpu", "gpu"]
    """auto: a GPU if there is one; cpu: never one; gpu: one per process, an error without."""
    nodes: Threads
    """Machines of one pre-training job under SLURM. On one machine, all of their processes run there."""
    processes: Threads
    """Processes of one pre-training job on each node, which share every batch."""
    accumulate: Size
    """Micro-batches into which a process splits its share of a batch."""
    shard: Literal["auto", "never", "always"]
    """Whether processes split weights, gradients and moments; auto does if they would fill half of a GPU."""
    threads: Threads
    """CPU threads of one process of a pre-training job."""
    together: Flag
    """Whether one job trains all seeds of a method, one after the other; otherwise each seed has its own job."""
    checkpoint_seconds: Annotated[float, Field(strict=True, gt=0)]
    """Seconds between resumable checkpoints."""

    @property
    def ranks(self) -> int:
        """Processes of one pre-training job on all nodes."""
        return self.nodes * self.processes

    @property
    def gpus(self) -> int:
        """GPUs that a pre-training job requests on each node: one per process if the study must not run without them."""
        return self.processes if self.device == "gpu" else 0


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class TasksConfig:
    """Downstream tasks."""

    source: Literal["toyglue", "local", "hub", "toyimages"]
    """Generated tasks (toyglue; of images: toyimages), files below data.dir (local), or the hub."""
    names: Annotated[tuple[str, ...], Field(json_schema_extra={"uniqueItems": True}), Different]
    """Tasks that are fine-tuned; an empty list fine-tunes nothing."""


@with_config(STRICT)
class TaskSettings(TypedDict, total=False):
    """Settings of one task that differ from those of `finetune`."""

    epochs: Epochs
    lr: Rate | Rates
    batch: Size
    warmup: Share
    weight_decay: Share
    dropout: Share
    max_length: Tokens
    most_cut: Fraction
    max_train: Count | None
    doc_stride: Size
    answer_length: AnswerLength


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class FinetuneConfig:
    """How finished points are fine-tuned."""

    points: Starts
    """Finished points that are fine-tuned, out of those of `budget`, to the percent."""
    seeds: Seeds
    """Fine-tuning seeds (classifier head, data order)."""
    source: Flag
    """Whether the finished source is fine-tuned too."""
    counted: Flag
    """Whether the cost of a score includes the FLOPs of its fine-tuning, in the score figure and in savings at equal score."""
    protocol: Literal["single", "grid", "held_out", "probe"]
    """One setting per task (single), the best LR of a list for each task and pre-training run, on dev (grid) or on training rows that are held out (held_out), or a linear model on frozen features (probe)."""
    held_out: Fraction
    """held_out: share of a task's training rows on which its LR is chosen."""
    epochs: Epochs
    """Passes over a task's training rows."""
    lr: Rate | Rates
    """Peak LR; with protocol grid, the list that is tried."""
    decay: Literal["linear", "cosine"]
    """How the LR falls to 0 after the warm-up."""
    batch: Size
    """Examples per step."""
    warmup: Share
    """Share of the steps in which the LR rises."""
    weight_decay: Share
    """AdamW's weight decay."""
    dropout: Share
    """Dropout during fine-tuning."""
    max_length: Tokens
    """Tokens to which an example is cut; for SQuAD, the tokens of a window."""
    most_cut: Fraction
    """Largest share of a task's rows, in either file, that may be cut; a task with more is refused."""
    max_train: Count | None
    """Training rows used per task; null uses all."""
    doc_stride: Size
    """SQuAD: tokens from the start of one window of a context to the next."""
    answer_length: AnswerLength
    """SQuAD: most tokens of an answer."""
    tasks: dict[str, TaskSettings]
    """Settings of single tasks that replace the ones above, by task name."""
    threads: Threads
    """CPU threads of one fine-tuning job."""

    def of(self, task: str) -> "FinetuneConfig":
        """Return the settings of one task."""
        return replace(self, **self.tasks.get(task, {}))

    @property
    def rates(self) -> tuple[float, ...]:
        """The LRs that are tried; a probe trains nothing of the model, at 0."""
        if self.protocol == "probe":
            return (0.0,)
        return self.lr if isinstance(self.lr, tuple) else (self.lr,)

    @property
    def longest(self) -> int:
        """Tokens of the longest example of any task."""
        return max(self.of(task).max_length for task in ("", *self.tasks))


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class ZeroshotConfig:
    """What finished points are scored on without fine-tuning."""

    source: Literal["local", "hub"]
    """Official files below data.dir (local) or the hub."""
    names: Annotated[tuple[TestSet, ...], Field(json_schema_extra={"uniqueItems": True}), Different]
    """Test sets; an empty list evaluates nothing. Masked families can be asked of pairs and BLiMP."""
    points: Starts | None
    """Finished points that are evaluated, out of those of `budget`, to the percent; null: every one that a method has."""
    pairs: Annotated[int, Field(strict=True, ge=8, le=1_000_000), WHOLE]
    """Most minimal pairs that are made from held-out text, the same number of each of 8 kinds."""
    stride: Annotated[int, Field(strict=True, ge=1, le=65536), WHOLE]
    """Tokens that each window but the first scores: the last ones of objective.length."""
    batch: Size
    """Windows of objective.length at a time; as many tokens of sentences."""
    threads: Threads
    """CPU threads of one zero-shot job."""


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class Config:
    """Models, methods, seeds, budgets and tasks of one study."""

    study: StudyName
    """Names results/<study> and figures/<study>."""
    seeds: Seeds
    """Pre-training seeds; initial weights, data order and masks follow from the seed alone."""
    attention: Flag
    """Whether the attention of the first seed's finished models is measured and drawn; needs their checkpoints."""
    data: DataConfig
    corpus: CorpusConfig
    objective: ObjectiveConfig
    source: SourceConfig
    target: TargetConfig
    methods: Annotated[Mapping[str, Options], Field(min_length=1)]
    """Methods (files in methods/) and their options, null for the defaults; `all`: every one that can; false: not this one."""
    budget: BudgetConfig
    optimizer: OptimizerConfig
    search: SearchConfig
    train: TrainConfig
    tasks: TasksConfig
    finetune: FinetuneConfig
    zeroshot: ZeroshotConfig
    images: ImagesConfig | None = None
    """Images in the place of text; null, or left out: the study reads text."""
