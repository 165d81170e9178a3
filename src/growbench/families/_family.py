"""The contract of a family file: a stock `transformers` model for a spec, and the role of each of its parameters.

torch and transformers are imported where they are used: a config is checked without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from growbench.errors import GrowBenchError
from growbench.families._roles import Role, Table, resolve
from growbench.spec import ModelSpec, Norm, Traits

if TYPE_CHECKING:
    from torch import Tensor, nn

SIZES = {
    "layers": "num_hidden_layers",
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "ffn": "intermediate_size",
    "vocab": "vocab_size",
    "max_length": "max_position_embeddings",
}


class Family:
    """One architecture. A family file defines a subclass and its instance FAMILY; nothing in it knows a method.

    model_type: the stock config's, and the file's name. stock: what its stock classes' names begin with. pretraining:
    the stock class with the pre-training head. objective: `mlm`, `clm` or `classification`. spans: there is a stock class
    with a head for spans of the input (question answering). norm: `layer` or `rms`.
    norm_eps: the stock config's key of the norm's epsilon, None where it has none. rotary: positions turn queries and
    keys, so that a head's size cannot change. even_heads: they turn all of a head, in pairs of coordinates. ffn_matrices: matmuls of one FFN. head_matrices: square matmuls between
    the last layer and the vocabulary. dropouts: the stock config's keys of dropout rates. sizes: the stock config's
    key of each size of a spec; a head's size and grouped keys and values are free only where they have one.
    """

    model_type: str
    stock: str
    pretraining: str
    objective: Literal["mlm", "clm", "classification"]
    spans: bool = True
    norm: Norm = "layer"
    norm_eps: str | None = "layer_norm_eps"
    rotary: bool = False
    even_heads: bool = False
    ffn_matrices: int = 2
    head_matrices: int = 0
    dropouts: tuple[str, ...] = ("hidden_dropout_prob", "attention_probs_dropout_prob")
    sizes: Mapping[str, str] = SIZES

    @property
    def name(self) -> str:
        return self.model_type

    def table(self, config: Any) -> Table:
        """Return the role by the end of a parameter's name, for every stock head."""
        raise NotImplementedError

    def pre_norm(self, config: Any) -> bool:
        """Whether residual blocks normalise their input (pre-LN) rather than their sum (post-LN)."""
        raise NotImplementedError

    def output_norm(self, config: Any) -> str | None:
        """Return the end of the name of the norm that feeds the pre-training head; None where there is none."""
        raise NotImplementedError

    def encode(self, model: Any, inputs: Tensor) -> Tensor:
        """Map inputs (token ids [B, T]) to the hidden states [B, T, hidden] that the head reads."""
        cache = {} if self.objective == "mlm" else {"use_cache": False}
        return model.base_model(input_ids=inputs, **cache).last_hidden_state

    def head(self, model: Any, hidden: Tensor) -> Tensor:
        """Map hidden states [..., hidden] to logits [..., vocab] (or [..., class])."""
        return model.get_output_embeddings()(hidden)

    def inputs(self, config: Any, *, batch: int, length: int, seed: int) -> Tensor:
        """Return random token ids [B, T] without padding, T at most the longest input."""
        import torch

        length = min(length, self.spec(config).max_length)
        ids = torch.randint(0, config.vocab_size, (batch, length), generator=torch.Generator().manual_seed(seed))
        padding = getattr(config, "pad_token_id", None)
        return ids if padding is None else ids.where(ids != padding, (padding + 1) % config.vocab_size)

    def config(self, spec: ModelSpec, base: Any = None, **settings: Any) -> Any:
        """Return the stock config of a model of this spec; `base` supplies everything that is not a size."""
        import transformers

        self.check(spec)
        start = {**(base.to_dict() if base is not None else self.defaults(spec)), **settings}
        sizes = {key: getattr(spec, size) for size, key in self.sizes.items()}
        return getattr(transformers, f"{self.stock}Config")(**{**start, **sizes, **self.follow(spec, start)})

    def check(self, spec: ModelSpec) -> None:
        """Raise GrowBenchError where the stock model cannot have this shape."""
        if "head_size" not in self.sizes and spec.head_size * spec.heads != spec.hidden:
            raise GrowBenchError(
                f"model.head_size: {spec.heads} heads of {spec.head_size} are not hidden {spec.hidden}, "
                f"as {self.name} needs; leave head_size out"
            )
        if "kv_heads" not in self.sizes and spec.kv_heads != spec.heads:
            raise GrowBenchError(
                f"model.kv_heads: {self.name} has as many key/value heads as heads {spec.heads}; leave kv_heads out"
            )

    def defaults(self, spec: ModelSpec) -> dict[str, Any]:
        """Return the settings, other than sizes, that differ from the stock ones when there is no base."""
        return {}

    def follow(self, spec: ModelSpec, start: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings that change with the spec, besides `sizes`; start: those of the base."""
        return {}

    def derived(self, config: Any) -> dict[str, int]:
        """Return the sizes of the spec that the stock config does not hold as such."""
        return {}

    def spec(self, config: Any) -> ModelSpec:
        """Return the spec that a stock config describes."""
        sizes = {size: getattr(config, key) for size, key in self.sizes.items()}
        return ModelSpec(family=self.name, **{**sizes, **self.derived(config)})

    def model_class(self) -> Any:
        """Return the stock class with the pre-training head."""
        import transformers

        return getattr(transformers, self.pretraining)

    def auto_class(self, config: Any) -> Any:
        """Return the stock class that the config names in `architectures`, else the one with the pre-training head."""
        import transformers

        name = (config.architectures or [self.pretraining])[0]
        named = getattr(transformers, name, None) if name.startswith(self.stock) else None
        is_model = isinstance(named, type) and issubclass(named, transformers.PreTrainedModel)
        return named if is_model else self.model_class()

    def dropout(self, rate: float) -> dict[str, float]:
        """Return the stock config's settings for one dropout rate everywhere."""
        return dict.fromkeys(self.dropouts, rate)

    def init_std(self, config: Any) -> float:
        """Return the standard deviation that new matrices start with."""
        return float(config.initializer_range)

    def traits(self, config: Any = None) -> Traits:
        """Return what decides, besides sizes, whether growth preserves the function of a model of this config.

        Without a config, those of a stock model whose epsilon is negligible: what a study can be checked for early.
        """
        eps = 0.0 if config is None else float(getattr(config, self.norm_eps or "", 0.0))
        free = None if self.norm_eps is None else eps
        return Traits(norm=self.norm, pre_norm=self.pre_norm(config), rotary=self.rotary, eps=free)

    def tied(self, config: Any, model_class: Any = None) -> bool:
        """Whether the head's matrix is the token table over *residual* coordinates; never without that head."""
        tied = getattr(model_class or self.auto_class(config), "_tied_weights_keys", None)
        return bool(tied and config.tie_word_embeddings)

    def build(self, config: Any, *, seed: int | None = 0, model_class: Any = None) -> nn.Module:
        """Return a stock model, initialised from the seed alone, or left on the meta device when seed is None.

        model_class: None builds the class with the pre-training head.
        """
        import torch

        build = model_class or self.model_class()
        if seed is None:
            with torch.device("meta"):
                model = build(config)
            model.tie_weights()
            return model
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return build(config)

    def roles(self, config: Any, model_class: Any = None) -> dict[str, Role]:
        """Return the role of each parameter (tied ones once, under the name that `named_parameters` gives)."""
        model = self.build(config, seed=None, model_class=model_class)
        return resolve(self.table(config), [name for name, _ in model.named_parameters()], self.name)
