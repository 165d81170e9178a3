"""DistilBERT (Sanh et al., 2019; arXiv 1910.01108): BERT's post-LN encoder without token types and without a pooler.

The stock classes fix the norms' epsilon at 1e-12, which no config can change.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from growbench.families._family import Family
from growbench.families._roles import Table, embedding, linear, norm, readout, reads, writes
from growbench.spec import Traits

if TYPE_CHECKING:
    from torch import Tensor

L = "transformer.layer.{l}."
RESIDUAL, FROM_RESIDUAL = writes("residual"), reads("residual")
EPS = 1e-12

TABLE: Table = {
    **embedding("embeddings.word_embeddings", "vocab"),
    **embedding("embeddings.position_embeddings", "position"),
    **norm("embeddings.LayerNorm"),
    **linear(L + "attention.q_lin", "q", writes("heads"), FROM_RESIDUAL),
    **linear(L + "attention.k_lin", "k", writes("kv_heads"), FROM_RESIDUAL),
    **linear(L + "attention.v_lin", "v", writes("kv_heads"), FROM_RESIDUAL),
    **linear(L + "attention.out_lin", "o", RESIDUAL, reads("heads")),
    **norm(L + "sa_layer_norm"),
    **linear(L + "ffn.lin1", "fc1", writes("ffn"), FROM_RESIDUAL),
    **linear(L + "ffn.lin2", "fc2", RESIDUAL, reads("ffn")),
    **norm(L + "output_layer_norm", "norm_out"),
    **linear("vocab_transform", "head", RESIDUAL, FROM_RESIDUAL),
    **norm("vocab_layer_norm"),
    **readout("vocab_projector", "vocab"),
    **linear("pre_classifier", "head", RESIDUAL, FROM_RESIDUAL),
    **readout("classifier", "class"),
    **readout("qa_outputs", "class"),
}


class DistilBert(Family):
    model_type = "distilbert"
    stock = "DistilBert"
    pretraining = "DistilBertForMaskedLM"
    objective = "mlm"
    norm_eps = None
    head_matrices = 1
    norms = 2
    head_adds = "bias"
    dropouts = ("dropout", "attention_dropout", "seq_classif_dropout", "qa_dropout")
    sizes = {
        "layers": "n_layers",
        "hidden": "dim",
        "heads": "n_heads",
        "ffn": "hidden_dim",
        "vocab": "vocab_size",
        "max_length": "max_position_embeddings",
    }
    published = ("DistilBERT",)

    def table(self, config: Any) -> Table:
        return TABLE

    def pre_norm(self, config: Any) -> bool:
        return False

    def output_norm(self, config: Any) -> str | None:
        return "vocab_layer_norm"

    def traits(self, config: Any = None) -> Traits:
        """Return the traits with the epsilon that is fixed: it is too small to need a config that sets it."""
        return replace(super().traits(config), eps=EPS)

    def head(self, model: Any, hidden: Tensor) -> Tensor:
        return model.vocab_projector(model.vocab_layer_norm(model.activation(model.vocab_transform(hidden))))


FAMILY = DistilBert()
