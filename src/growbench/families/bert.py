"""BERT (Devlin et al., NAACL 2019; arXiv 1810.04805): post-LN encoder, absolute positions, MLM head with a transform.

Post-LN block: x = LN_1(x + o(attention(x))), x = LN_2(x + fc2(gelu(fc1(x)))). Head: LN(gelu(W x + b)) E^T + c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from growbench.families._family import Family
from growbench.families._roles import Table, embedding, fixed, linear, norm, readout, reads, role, writes

if TYPE_CHECKING:
    from torch import Tensor

L = "encoder.layer.{l}."
RESIDUAL, FROM_RESIDUAL = writes("residual"), reads("residual")

BODY: Table = {
    **embedding("embeddings.word_embeddings", "vocab"),
    **embedding("embeddings.position_embeddings", "position"),
    **embedding("embeddings.token_type_embeddings", "type"),
    **norm("embeddings.LayerNorm"),
    **linear(L + "attention.self.query", "q", writes("heads"), FROM_RESIDUAL),
    **linear(L + "attention.self.key", "k", writes("kv_heads"), FROM_RESIDUAL),
    **linear(L + "attention.self.value", "v", writes("kv_heads"), FROM_RESIDUAL),
    **linear(L + "attention.output.dense", "o", RESIDUAL, reads("heads")),
    **norm(L + "attention.output.LayerNorm"),
    **linear(L + "intermediate.dense", "fc1", writes("ffn"), FROM_RESIDUAL),
    **linear(L + "output.dense", "fc2", RESIDUAL, reads("ffn")),
    **norm(L + "output.LayerNorm", "norm_out"),
    **linear("pooler.dense", "head", RESIDUAL, FROM_RESIDUAL),
    **readout("classifier", "class"),
    **readout("qa_outputs", "class"),
}

TABLE: Table = {
    **BODY,
    **linear("cls.predictions.transform.dense", "head", RESIDUAL, FROM_RESIDUAL),
    **norm("cls.predictions.transform.LayerNorm"),
    **readout("cls.predictions.decoder", "vocab"),
    "cls.predictions.bias": role("head", fixed("vocab")),
    **readout("cls.seq_relationship", "class"),
}


class Bert(Family):
    model_type = "bert"
    stock = "Bert"
    pretraining = "BertForMaskedLM"
    objective = "mlm"
    head_matrices = 1
    types = norms = 2  # one norm after the embeddings, one in the head
    head_adds = "bias"
    published = ("BERT",)

    def table(self, config: Any) -> Table:
        return TABLE

    def pre_norm(self, config: Any) -> bool:
        return False

    def output_norm(self, config: Any) -> str | None:
        return "cls.predictions.transform.LayerNorm"

    def head(self, model: Any, hidden: Tensor) -> Tensor:
        return model.cls(hidden)


FAMILY = Bert()
