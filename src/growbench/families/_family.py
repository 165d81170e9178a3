"""The contract of a family file: a stock `transformers` model for a spec, and the role of each of its parameters.

torch and transformers are imported where they are used: a config is checked without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from growbench.errors import GrowBenchError
from growbench.families._roles import Role, Table, resolve
from growbench.spec import ModelSpec, Norm, Pixels, Traits

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
BRANCHES = 2  # of a layer: attention and FFN
Bias = Literal["qkv", "o", "ffn", "head", "norm"]
EXAMPLE = {"layers": 2, "hidden": 36, "heads": 3, "ffn": 58, "vocab": 53, "max_length": 14}


class Family:
    """One architecture. A family file defines a subclass and its instance FAMILY. It knows nothing about methods.

    model_type: the stock config's model type; also the name of the file, with `_` for `-`.
    version: of its models; raised when the same config gives other models, roles or costs.
    stock: the prefix of the names of the stock classes.
    pretraining: name of the stock class with the pre-training head.
    objective: what the pre-training head predicts.
    tokens: of an image's sequence that are not patches; 0 for text.
    spans: whether there is a stock class with a head for spans of the input (question answering).
    norm: kind of normalization.
    norm_eps: the stock config's key for the norm's epsilon; None if it has no such key.
    norm_offset: what a norm adds to its stored gain.
    layer_norms: norms over the residual stream in a layer.
    branch_norms: whether a layer also normalizes what a branch adds to the residual stream.
    head_norms: norms of queries and keys: one over each head, or one over all heads. They share the epsilon.
    embedding_norm: whether the residual stream of a pre-LN model starts as the output of a norm.
    rotary: whether positions rotate queries and keys, so that the size of a head cannot change.
    even_heads: whether they rotate all coordinates of a head, in pairs, so that its size must be even.
    ffn_matrices: matrix products in one FFN.
    head_matrices: square matrix products between the last layer and the vocabulary.
    biases: what has biases, among qkv, o, ffn, the head's square matrices (head) and norms (norm: a shift).
    positions: rows of the position table beyond the longest input; None without a table.
    types: rows of the table of token types.
    norms: normalizations outside the layers, besides those in `stand_ins`.
    stand_ins: by the end of the name of a layer's parameter that some layers lack: the end of the name of the parameter
        outside the layers that does its work there, of which it is made where a target's layer needs one.
    head_adds: what the head adds to the token table: a bias, a matrix of its own, or nothing.
    dropouts: the stock config's keys for dropout rates.
    sizes: the stock config's key for each size of a spec. `head_size` and `kv_heads` are free only if listed here.
    per_layer: the stock config's keys for lists with one entry per layer.
    published: words that stand for this architecture in the settings of published results.
    example: sizes of the small model that the tests build, where they differ from EXAMPLE.
    example_settings: the stock config's settings for that model, besides sizes.
    """

    model_type: str
    version: int = 1
    stock: str
    pretraining: str
    objective: Literal["mlm", "clm", "classification"]
    tokens: int = 0
    spans: bool = True
    norm: Norm = "layer"
    norm_eps: str | None = "layer_norm_eps"
    norm_offset: float = 0.0
    layer_norms: int = BRANCHES
    branch_norms: bool = False
    head_norms: Literal["none", "each", "all"] = "none"
    rotary: bool = False
    even_heads: bool = False
    ffn_matrices: int = 2
    head_matrices: int = 0
    embedding_norm: bool = False
    biases: tuple[Bias, ...] = ("qkv", "o", "ffn", "head", "norm")
    positions: int | None = 0
    types: int = 0
    norms: int = 1
    stand_ins: Mapping[str, str] = {}
    head_adds: Literal["bias", "matrix", "nothing"] = "nothing"
    dropouts: tuple[str, ...] = ("hidden_dropout_prob", "attention_probs_dropout_prob")
    sizes: Mapping[str, str] = SIZES
    per_layer: tuple[str, ...] = ("layer_types",)
    published: tuple[str, ...] = ()
    example: Mapping[str, int] = {}
    example_settings: Mapping[str, Any] = {}

    @property
    def name(self) -> str:
        return self.model_type.replace("-", "_")

    def table(self, config: Any) -> Table:
        """Return the role for each ending of a parameter's name, for every stock head."""
        raise NotImplementedError

    def pre_norm(self, config: Any) -> bool:
        """Whether residual blocks normalize their input (pre-LN) rather than their sum (post-LN)."""
        raise NotImplementedError

    def output_norm(self, config: Any) -> str | None:
        """Return the end of the name of the norm that feeds the pre-training head; None if there is none."""
        raise NotImplementedError

    @property
    def reads_stream(self) -> bool:
        """Whether a layer's queries, keys and values read the residual stream itself, without a norm in between."""
        return not self.pre_norm(None) or (self.branch_norms and self.layer_norms == BRANCHES)

    def embedding_scale(self, spec: ModelSpec) -> float:
        """Return what the stock model multiplies its token embeddings by."""
        return 1.0

    def encode(self, model: Any, inputs: Tensor) -> Tensor:
        """Map inputs (token ids [B, T]) to the hidden states [B, T, hidden] that the head reads."""
        cache = {} if self.objective == "mlm" else {"use_cache": False}
        return model.base_model(input_ids=inputs, **cache).last_hidden_state

    def head(self, model: Any, hidden: Tensor) -> Tensor:
        """Map hidden states [..., hidden] to logits [..., vocab] (or [..., class])."""
        return model.get_output_embeddings()(hidden)

    def inputs(self, config: Any, *, batch: int, length: int, seed: int) -> Tensor:
        """Return random token ids [B, T] without padding; T is at most the longest input."""
        import torch

        length = min(length, self.spec(config).max_length)
        ids = torch.randint(0, config.vocab_size, (batch, length), generator=torch.Generator().manual_seed(seed))
        padding = getattr(config, "pad_token_id", None)
        return ids if padding is None else ids.where(ids != padding, (padding + 1) % config.vocab_size)

    def config(self, spec: ModelSpec, base: Any = None, **settings: Any) -> Any:
        """Return the stock config of a model of this spec. `base` supplies everything that is not a size.

        A list with one entry per layer is left to the stock config if it does not fit the spec.
        """
        import transformers

        self.check(spec)
        start = {**(base.to_dict() if base is not None else self.defaults(spec)), **settings}
        for key in self.per_layer:
            if start.get(key) is not None and len(start[key]) != spec.layers:
                del start[key]
        sizes = {key: getattr(spec, size) for size, key in self.sizes.items()}
        return getattr(transformers, f"{self.stock}Config")(**{**start, **sizes, **self.follow(spec, start)})

    def check(self, spec: ModelSpec) -> None:
        """Raise GrowBenchError if the stock model cannot have this shape."""
        if "head_size" not in self.sizes and spec.head_size * spec.heads != spec.hidden:
            raise GrowBenchError(
                f"model.head_size: {self.name} needs heads x head_size = hidden, but {spec.heads} x {spec.head_size} is "
                f"not {spec.hidden}; leave head_size out"
            )
        if "kv_heads" not in self.sizes and spec.kv_heads != spec.heads:
            raise GrowBenchError(
                f"model.kv_heads: {self.name} has as many key/value heads as heads ({spec.heads}); leave kv_heads out"
            )

    def defaults(self, spec: ModelSpec) -> dict[str, Any]:
        """Return the settings, other than sizes, that differ from the stock ones if there is no base."""
        return {}

    def follow(self, spec: ModelSpec, start: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings that change with the spec, besides `sizes`. start: the settings of the base.

        Raises GrowBenchError if the spec needs a setting that it cannot have.
        """
        size = start.get(self.sizes.get("head_size", ""))
        if self.head_norms == "each" and size not in (None, spec.head_size):
            raise GrowBenchError(
                f"target.head_size: {spec.head_size}, but {self.name} normalizes queries and keys over the {size} coordinates "
                f"of a head; keep {size}"
            )
        return {}

    def derived(self, config: Any) -> dict[str, int]:
        """Return the sizes of the spec that the stock config does not store as such."""
        return {}

    def spec(self, config: Any) -> ModelSpec:
        """Return the spec that a stock config describes. Head sizes that the config leaves out take their defaults."""
        sizes = {size: getattr(config, key, None) for size, key in self.sizes.items()}
        known = {size: value for size, value in sizes.items() if value is not None}
        return ModelSpec(family=self.name, **{**known, **self.derived(config)})

    def parameters(self, spec: ModelSpec, pixels: Pixels | None = None) -> int:
        """Return how many parameters a stock model of this spec has, embeddings included. Builds no model.

        pixels: what an image model reads and predicts; None for a language model.
        """
        h, attention, grouped = spec.hidden, spec.heads * spec.head_size, spec.kv_heads * spec.head_size
        gain = 2 * h if "norm" in self.biases else h
        biases = {"qkv": attention + 2 * grouped, "o": h, "ffn": spec.ffn + h}
        layer = 2 * h * (attention + grouped) + self.ffn_matrices * h * spec.ffn + self.layer_norms * gain
        layer += {"none": 0, "each": 2 * spec.head_size, "all": attention + grouped}[self.head_norms]
        layer += sum(size for which, size in biases.items() if which in self.biases)
        rows = spec.vocab + self.types + (0 if self.positions is None else spec.max_length + self.positions)
        head = {"bias": spec.vocab, "matrix": spec.vocab * h, "nothing": 0}[self.head_adds]
        square = h * h + (h if "head" in self.biases else 0)
        return spec.layers * layer + rows * h + self.norms * gain + self.head_matrices * square + head

    def ffn_products(self, spec: ModelSpec) -> int:
        """Return the multiplications of one token in one layer's FFN."""
        return self.ffn_matrices * spec.hidden * spec.ffn

    def example_spec(self) -> ModelSpec:
        """Return the shape of the small model that the tests build; its sizes are not multiples of one another without need."""
        return ModelSpec(family=self.name, **{**EXAMPLE, **self.example})

    def layer_settings(self, config: Any, sources: list[int]) -> dict[str, list[Any]]:
        """Return the lists with one entry per layer for a model whose layer t is made of layer `sources[t]`."""
        lists = {key: getattr(config, key, None) for key in self.per_layer}
        return {key: [values[s] for s in sources] for key, values in lists.items() if values}

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
        """Return the standard deviation with which new matrices start."""
        return float(config.initializer_range)

    def traits(self, config: Any = None) -> Traits:
        """Return what decides, besides sizes, whether growth preserves the function of a model of this config.

        Without a config, the traits of a stock model with a negligible epsilon, so that a study can be checked early.
        """
        eps = 0.0 if config is None else float(getattr(config, self.norm_eps or "", 0.0))
        free = None if self.norm_eps is None or self.head_norms != "none" else eps
        return Traits(
            norm=self.norm,
            pre_norm=self.pre_norm(config),
            rotary=self.rotary,
            eps=free,
            norm_over_heads=self.head_norms == "all",
            embedding_norm=self.embedding_norm,
        )

    def tied(self, config: Any, model_class: Any = None) -> bool:
        """Whether the head's matrix is the token table over *residual* coordinates. False without such a head."""
        tied = getattr(model_class or self.auto_class(config), "_tied_weights_keys", None)
        return bool(tied and config.tie_word_embeddings)

    def build(self, config: Any, *, seed: int | None = 0, model_class: Any = None) -> nn.Module:
        """Return a stock model, initialized from the seed alone; on the meta device if seed is None.

        model_class: None builds the class with the pre-training head.
        """
        import torch

        build = model_class or self.model_class()
        if seed is None:
            with torch.device("meta"):
                model = build(config)
            model.tie_weights()
            return model
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return build(config)

    def roles(self, config: Any, model_class: Any = None) -> dict[str, Role]:
        """Return the role of each parameter of a stock model of this config, as `roles_of` does."""
        return self.roles_of(self.build(config, seed=None, model_class=model_class))

    def roles_of(self, model: nn.Module) -> dict[str, Role]:
        """Return the role of each parameter. Tied ones appear once, under the name that `named_parameters` gives.

        A head that shares the token table has the table's role, under whichever name.
        """
        aliases = dict(model.named_parameters(remove_duplicate=False))
        found = resolve(self.table(model.config), aliases, self.name)
        tables = {id(aliases[name]): role for name, role in found.items() if role.kind == "embedding"}
        return {name: tables.get(id(parameter), found[name]) for name, parameter in model.named_parameters()}


def no_special_tokens(spec: ModelSpec, vocab: int) -> dict[str, Any]:
    """Return no special tokens for a vocabulary smaller than the stock one, of `vocab` tokens: they belong to that one."""
    return {} if spec.vocab >= vocab else dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))
