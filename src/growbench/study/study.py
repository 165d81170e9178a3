"""Study: what one config file says, frozen. Its words are explained in config/demo.yaml.

No torch here: the Snakefile loads the study each time it is parsed.
"""

from dataclasses import asdict, dataclass
from typing import Any

from growbench import methods
from growbench.methods import Method
from growbench.records.layout import Layout
from growbench.spec import SOURCE, ModelSpec
from growbench.study.sections import (
    BudgetConfig,
    CorpusConfig,
    DataConfig,
    FinetuneConfig,
    ObjectiveConfig,
    OptimizerConfig,
    SearchConfig,
    SourceConfig,
    TargetConfig,
    TasksConfig,
    TrainConfig,
    ZeroshotConfig,
)
from growbench.study.squad import SQUAD_TASKS

# Where and how fast a model is trained. Like another machine, these change its rounding, and with dropout its draws.
HOW = ("device", "processes", "accumulate", "shard", "threads", "together", "checkpoint_seconds")


def point_name(fraction: float) -> str:
    """Return the name of a finished point: its share of the largest budget in percent."""
    return f"p{round(100 * fraction)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """One study. attention: whether the attention of its finished models is measured. `methods` maps each method's name to its options (empty for the defaults); `of` makes it a variant."""

    study: str
    seeds: tuple[int, ...]
    attention: bool
    data: DataConfig
    corpus: CorpusConfig
    objective: ObjectiveConfig
    source: SourceConfig
    target: TargetConfig
    methods: dict[str, dict[str, Any]]
    budget: BudgetConfig
    optimizer: OptimizerConfig
    search: SearchConfig
    train: TrainConfig
    tasks: TasksConfig
    finetune: FinetuneConfig
    zeroshot: ZeroshotConfig

    @property
    def layout(self) -> Layout:
        """Where everything of the study lies."""
        return Layout(self.study)

    def source_spec(self, vocab: int) -> ModelSpec:
        """Return the small model's shape over a vocabulary of this size."""
        return self._spec(self.source, vocab)

    def target_spec(self, vocab: int) -> ModelSpec:
        """Return the big model's shape over a vocabulary of this size."""
        return self._spec(self.target, vocab)

    def method(self, name: str) -> Method:
        """Return the method of this name in the study: a file's, or the one it is a variant of."""
        return methods.load((self.methods.get(name) or {}).get("of") or name)

    def options(self, name: str) -> dict[str, Any]:
        """Return all options of a method of the study, defaults filled in."""
        return self.method(name).check_options(self.methods.get(name), name)

    def trained(self) -> tuple[str, ...]:
        """Return the names of what is trained: every method, and the source where one of them reads it."""
        reads = any(self.method(name).reads_source for name in self.methods)
        return (*self.methods, SOURCE) if reads else tuple(self.methods)

    def searched(self, name: str) -> bool:
        """Whether the LR of a method (or of the source) is searched: the study searches, and the method names none itself."""
        return bool(self.search.lrs) and (name == SOURCE or self.options(name)["lr"] is None)

    def finetuned_points(self, method: str = "") -> tuple[str, ...]:
        """Return the names of the finished points of a method that are fine-tuned; `source` has at most its last one."""
        if method == SOURCE:
            return (point_name(1.0),) if self.finetune.source else ()
        return tuple(point_name(point) for point in self.finetune.points)

    def zeroshot_points(self) -> tuple[str, ...]:
        """Return the names of the finished points that are evaluated without fine-tuning."""
        return tuple(point_name(point) for point in self.zeroshot.points)

    def trained_part(self) -> dict[str, Any]:
        """Return the values that every trained model of the study depends on; its digest tells configs apart."""
        whole = asdict(self)
        whole["train"] = {k: v for k, v in whole["train"].items() if k not in HOW}
        names = ("corpus", "objective", "source", "target", "optimizer", "train", "budget")
        return {**{name: whole[name] for name in names}, "repeat": self.data.repeat}

    def finetuned_part(self) -> dict[str, Any]:
        """Return the values that a fine-tuned model depends on besides its checkpoint."""
        values, plain = asdict(self.finetune), {"protocol": "single", "decay": "linear", "tasks": {}}
        unused = {"points", "source", "threads", *(key for key, value in plain.items() if values[key] == value)}
        if not any(name in SQUAD_TASKS for name in self.tasks.names):
            unused |= {"doc_stride", "answer_length"}
        return {
            "tasks": asdict(self.tasks),
            **{"own" if k == "tasks" else k: v for k, v in values.items() if k not in unused},
        }

    def zeroshot_part(self) -> dict[str, Any]:
        """Return the values that a zero-shot evaluation depends on besides its checkpoint."""
        return {key: value for key, value in asdict(self.zeroshot).items() if key in ("source", "names", "stride")}

    def _spec(self, sizes: SourceConfig | TargetConfig, vocab: int) -> ModelSpec:
        return ModelSpec(
            family=self.target.family,
            layers=sizes.layers,
            hidden=sizes.hidden,
            heads=sizes.heads,
            ffn=sizes.ffn,
            vocab=vocab,
            max_length=max(self.objective.length, self.finetune.longest),
        )
