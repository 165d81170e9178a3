"""Study: a checked config and what follows from it, frozen. config/demo.yaml explains its words.

No torch here: the Snakefile loads the study each time it is parsed.
"""

from dataclasses import asdict
from math import ceil
from typing import Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from growbench import families, methods
from growbench.errors import GrowBenchError
from growbench.methods import Method
from growbench.records.layout import Layout
from growbench.spec import SOURCE, ModelSpec, Pixels
from growbench.study import checkpoint
from growbench.study.checkpoint import Checkpoint
from growbench.study.sections import Config, SourceConfig, TargetConfig
from growbench.study.squad import SQUAD_TASKS
from growbench.study.types import STRICT

# Where and how fast a model is trained. Like another machine, these change rounding and, with dropout, random draws.
HOW = ("device", "nodes", "processes", "accumulate", "shard", "threads", "together", "checkpoint_seconds")

# Values of keys that older studies do not have. They are left out of digests, so that those studies keep theirs.
PLAIN = (("tokens_per_parameter", None), ("total", False), ("test", None), ("final_sequences", 2048))


def point_name(fraction: float) -> str:
    """Return the name of a finished point: its share of the largest budget in percent."""
    return f"p{round(100 * fraction)}"


@dataclass(frozen=True, kw_only=True, slots=True, config=STRICT)
class Study(Config):
    """One study: its config's values, and what follows from them."""

    methods: dict[str, dict[str, Any]]
    """Each method's name with the options that differ from its defaults; `of` makes it a variant."""
    left_out: dict[str, str] = Field(default_factory=dict)
    """Methods that `all` does not stand for and variants that budget.per_point does not make, with the reason why not."""

    @property
    def layout(self) -> Layout:
        """Paths of everything that belongs to the study."""
        return Layout(self.study)

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The trained checkpoint that is the source; None if the source is trained here."""
        return checkpoint.of(self)

    @property
    def source_unpriced(self) -> bool:
        """Whether nobody knows what the source cost."""
        return self.source.path is not None and self.source.flops is None

    @property
    def reached(self) -> int:
        """The tokens of the longest input that pre-training has read; a checkpoint is taken to have read its longest."""
        return self.checkpoint.spec.max_length if self.checkpoint else self.objective.length

    def source_spec(self, vocab: int) -> ModelSpec:
        """Return the small model's shape over a vocabulary of this size; that of a checkpoint is its own.

        Raises GrowBenchError for an impossible shape.
        """
        return self.checkpoint.spec if self.checkpoint else self._spec("source", self.source, vocab)

    def target_spec(self, vocab: int) -> ModelSpec:
        """Return the big model's shape over a vocabulary of this size, or over that of a checkpoint.

        Raises GrowBenchError for an impossible shape.
        """
        return self._spec("target", self.target, vocab)

    def method(self, name: str) -> Method:
        """Return the method of this name in the study: the file of this name, or the method that it is a variant of."""
        return methods.load((self.methods.get(name) or {}).get("of") or name)

    def variant_of(self, name: str) -> tuple[str, ...]:
        """Return what a name stands for besides itself: the method of whose curve it is a point, and the method's file."""
        return (*filter(None, [self.curve_of(name)]), self.method(name).name)

    def options(self, name: str) -> dict[str, Any]:
        """Return all options of a method of the study, with defaults filled in."""
        return self.method(name).check_options(self.methods.get(name), name)

    def unable(self, name: str) -> str:
        """Return why a method cannot grow this study's source into its target; empty if it can."""
        method, vocab = self.method(name), self.corpus.vocab
        if self.budget.total and method.without_total:
            return f"budget.total is true, {method.without_total}"
        if not (method.needs_source and method.grows):
            return ""
        traits = families.load(self.target.family).traits()
        try:
            method.check(self.source_spec(vocab), self.target_spec(vocab), traits, self.options(name))
        except GrowBenchError as error:
            return str(error)
        return ""

    def steps(self, vocab: int) -> int:
        """Return the steps of scratch whose FLOPs are the largest budget. vocab: size of the vocabulary."""
        if self.budget.tokens_per_parameter is None:
            return self.budget.steps or 0
        tokens = max(self.budget.tokens_per_parameter) * self.parameters(vocab)
        return ceil(tokens / (self.optimizer.batch * self.objective.length))

    def parameters(self, vocab: int) -> int:
        """Return the parameters of the target, embeddings included."""
        return self.parameters_of(self.target_spec(vocab))

    def parameters_of(self, spec: ModelSpec) -> int:
        """Return the parameters of a model of the study, embeddings included."""
        return families.load(spec.family).parameters(spec, self.pixels)

    @property
    def pixels(self) -> Pixels | None:
        """What the models of a study of images read and predict; None if the study reads text."""
        return None if self.images is None else self.images.pixels

    def points_of(self, name: str) -> tuple[float, ...]:
        """Return the points at which a method is to have a finished model: all, or the end of its own share of the budget."""
        own = self.options(name)["budget"]
        return self.budget.shares if own is None else (own,)

    def ends(self, name: str) -> bool:
        """Return whether a method has the last finished point."""
        return self.points_of(name)[-1] == 1.0

    def curve_of(self, name: str) -> str | None:
        """Return the method of whose curve a variant is one point, as budget.per_point names it; None if it has its own."""
        own = (self.methods.get(name) or {}).get("budget")
        before, _, point = name.rpartition("_")
        return before if own is not None and point == point_name(own) else None

    def counts_source(self, name: str) -> bool:
        """Return whether the source's cost sets what a method's own run may spend."""
        return self.method(name).needs_source if self.budget.total else self.method(name).raised

    def reads_source(self, name: str) -> bool:
        """Return whether a method's run needs the source's record: its weights, or its cost."""
        return self.method(name).needs_source or self.counts_source(name)

    def trained(self) -> tuple[str, ...]:
        """Return the names of what is trained: every method, and the source if one of them reads it."""
        reads = any(self.reads_source(name) for name in self.methods)
        return (*self.methods, SOURCE) if reads else tuple(self.methods)

    def searched(self, name: str) -> bool:
        """Return whether there is a search for the LR or the warm-up of a method (or of the source)."""
        return any(self.searches(name))

    def searches(self, name: str) -> tuple[bool, bool]:
        """Return whether the LR of a method (or of the source) is searched, and whether its warm-up is.

        Each is if the study has values to start with, and the method no value of its own and no other method's search.
        """
        if self.tuner(name) != name or (name == SOURCE and self.checkpoint):
            return False, False
        own = {} if name == SOURCE else self.options(name)
        started = {"lr": self.search.lrs, "warmup": self.search.warmups}
        lr, warmup = (bool(values) and own.get(key) is None for key, values in started.items())
        return lr, warmup

    def source_point(self, name: str) -> float:
        """Return the finished point of the source that a method grows, as a share of the source's budget."""
        own = self.options(name)["source_point"]
        return 1.0 if own is None else float(own)

    def tuner(self, name: str) -> str:
        """Return the method whose search chooses the LR and the warm-up of a method (or of the source); often itself."""
        own = None if name == SOURCE else self.options(name)["tuned_as"]
        return name if own is None else str(own)

    def trial_seed(self) -> int | None:
        """Return the seed of a source that is trained for the trials of a search alone; None if there is none."""
        grown = any(self.searched(name) and self.reads_source(name) for name in self.methods)
        return self.search.seed if grown and self.search.seed not in self.seeds else None

    def finetuned_points(self, method: str = "") -> tuple[str, ...]:
        """Return the names of the finished points of a method that are fine-tuned; `source` has at most its last one."""
        if not self.tasks.names:
            return ()
        if method == SOURCE:
            return (point_name(1.0),) if self.finetune.source else ()
        return self._own(method, self.finetune.points)

    def _own(self, method: str, points: tuple[float, ...]) -> tuple[str, ...]:
        """Return the names of points, those of one method's own end only if it has no others."""
        names = tuple(point_name(point) for point in points)
        own = self.options(method)["budget"] if method else None
        return names if own is None else tuple(name for name in names if name == point_name(own))

    def trained_part(self, share: float = 1.0) -> dict[str, Any]:
        """Return the values that every trained model of the study depends on; its digest tells configs apart.

        share: of the budget that it is trained for. Less than 1 is a search's trial, which has no finished points before
        its end.
        """
        whole = asdict(self)
        whole["train"] = {k: v for k, v in whole["train"].items() if k not in HOW and (k, v) not in PLAIN}
        whole["source"] = self._source_part(whole["source"])
        if self.checkpoint:
            del whole["corpus"]["tokenizer_name"]  # the corpus knows the tokenizer by what it holds
        whole["corpus"] = {k: v for k, v in whole["corpus"].items() if (k, v) not in PLAIN}
        whole["budget"] = {k: v for k, v in whole["budget"].items() if k != "per_point" and (k, v) not in PLAIN}
        if not isinstance(warmup := whole["optimizer"]["warmup"], int):
            whole["optimizer"]["warmup"] = warmup["share"]
        if share < 1:
            budget = whole["budget"]
            whole["budget"] |= {key: budget[key][-1:] for key in ("points", "tokens_per_parameter") if budget.get(key)}
            whole["source"].pop("points", None)
        names = ["corpus", "objective", "source", "target", "optimizer", "train", "budget"]
        if self.images is not None:
            names.append("images")
            del whole["images"]["task_size"]
        return {**{name: whole[name] for name in names}, "repeat": self.data.repeat, "positions": self._positions()}

    def finetuned_part(self) -> dict[str, Any]:
        """Return the values that a fine-tuned model depends on besides its checkpoint."""
        values, plain = asdict(self.finetune), {"protocol": "single", "decay": "linear", "tasks": {}}
        unused = {
            "points",
            "source",
            "counted",
            "threads",
            "most_cut",
            *(key for key, value in plain.items() if values[key] == value),
        }
        if self.finetune.protocol != "held_out":
            unused.add("held_out")
        if self.finetune.protocol == "probe":
            unused |= {"epochs", "lr", "decay", "batch", "warmup", "weight_decay", "dropout"}
        if not any(name in SQUAD_TASKS for name in self.tasks.names):
            unused |= {"doc_stride", "answer_length"}
        return {
            "tasks": asdict(self.tasks),
            **({"task_size": self.images.task_size} if self.images else {}),
            **{"own" if k == "tasks" else k: v for k, v in values.items() if k not in unused},
        }

    def zeroshot_part(self) -> dict[str, Any]:
        """Return the values that a zero-shot evaluation depends on besides its checkpoint."""
        keys = ("source", "names", "stride", *(["pairs"] if "pairs" in self.zeroshot.names else []))
        return {key: value for key, value in asdict(self.zeroshot).items() if key in keys}

    def _source_part(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return what trained models depend on of the source; of a checkpoint, its config.json and its cost."""
        if self.checkpoint:
            return {"checkpoint": self.checkpoint.settings, "flops": self.source.flops}
        return {k: v for k, v in values.items() if (k, v) != ("points", (1.0,)) and k not in ("path", "flops", "cited")}

    def _positions(self) -> int:
        """Return the tokens of the longest input that a trained model must be able to read; a checkpoint's are its own."""
        if self.checkpoint:
            return self.checkpoint.spec.max_length
        return self.objective.length if self.images else max(self.objective.length, self.finetune.longest)

    def _spec(self, name: str, sizes: SourceConfig | TargetConfig, vocab: int) -> ModelSpec:
        shape = {key: getattr(sizes, key) for key in ("layers", "hidden", "heads", "ffn")}
        vocab = 0 if self.images else vocab
        try:
            if self.checkpoint:
                return self.checkpoint.target(**shape)
            return ModelSpec(family=self.target.family, vocab=vocab, max_length=self._positions(), **shape)
        except GrowBenchError as error:
            raise GrowBenchError(str(error).replace("model.", f"{name}.")) from error
