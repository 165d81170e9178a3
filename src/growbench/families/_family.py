"""The contract of a family file: a stock `transformers` model for a spec, and the role of each of its parameters."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from growbench.families._roles import Role, Table, resolve
from growbench.spec import ModelSpec


class Family:
    """One architecture. A family file defines a subclass and its instance FAMILY; nothing in it knows a method.

    name: the file's name. objective: `mlm` or `clm`. norm: `layer` or `rms`. norm_first: residual blocks normalise
    their input (pre-LN) rather than their sum (post-LN). ffn_matrices: matmuls of one FFN. head_matrices: square
    matmuls between the last layer and the vocabulary. output_norm: end of the name of the norm that feeds the head.
    dropouts: the stock config's keys of dropout rates. table: role by the end of a parameter's name.
    """

    name: str
    objective: Literal["mlm", "clm"]
    norm: Literal["layer", "rms"] = "layer"
    norm_first: bool = False
    ffn_matrices: int = 2
    head_matrices: int = 0
    dropouts: tuple[str, ...] = ("hidden_dropout_prob", "attention_probs_dropout_prob")
    output_norm: str
    table: Table

    def config(self, spec: ModelSpec, base: Any = None, **settings: Any) -> Any:
        """Return the stock config of a model of this spec; `base` supplies everything that is not a size."""
        raise NotImplementedError

    def spec(self, config: Any) -> ModelSpec:
        """Return the spec that a stock config describes."""
        raise NotImplementedError

    def model_class(self) -> Any:
        """Return the stock class with the pre-training head."""
        raise NotImplementedError

    def encode(self, model: nn.Module, ids: Tensor) -> Tensor:
        """Map token ids [B, T] to the hidden states [B, T, hidden] that the head reads."""
        raise NotImplementedError

    def head(self, model: nn.Module, hidden: Tensor) -> Tensor:
        """Map hidden states [..., hidden] to logits [..., vocab]."""
        raise NotImplementedError

    def dropout(self, rate: float) -> dict[str, float]:
        """Return the stock config's settings for one dropout rate everywhere."""
        return dict.fromkeys(self.dropouts, rate)

    def tied(self, config: Any) -> bool:
        """Whether the head's matrix is the token table."""
        return bool(config.tie_word_embeddings)

    def build(self, config: Any, *, seed: int | None = 0) -> nn.Module:
        """Return a stock model, initialised from the seed alone, or left on the meta device when seed is None."""
        if seed is None:
            with torch.device("meta"):
                return self.model_class()(config)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return self.model_class()(config)

    def roles(self, config: Any) -> dict[str, Role]:
        """Return the role of each parameter (tied ones once, under the name that `named_parameters` gives)."""
        names = [name for name, _ in self.build(config, seed=None).named_parameters()]
        return resolve(self.table, names, self.name)
