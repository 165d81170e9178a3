"""ModernBERT (Warner et al., 2024; arXiv 2412.13663): pre-LN encoder, rotary positions, gated FFN, few biases.

Block: x = x + Wo(attention(LN_1(x))), x = x + Wo(act(input) * gate), where Wi LN_2(x) = [input, gate]. Wqkv
[3 x hidden, hidden] stores q, k and v one after another. Attention is global in every third layer and looks at a window
in the others (`layer_types`). Norms have no shift unless `norm_bias` is set.

The first layer has no LN_1: it reads the embeddings, x = LN(E), as they are. The embeddings' norm does the work of LN_1
there, so a copy of the first layer that is not first itself takes its LN_1 from it. Because the residual stream starts as
the output of a norm, no linear map widens it exactly at a non-integer ratio (docs/METHODS.md, LEMON).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from growbench.families._family import Family
from growbench.families._roles import Component, Table, embedding, fused, linear, norm, readout, reads, writes
from growbench.spec import ModelSpec

if TYPE_CHECKING:
    from torch import Tensor

L = "layers.{l}."
RESIDUAL, FROM_RESIDUAL = writes("residual"), reads("residual")
QKV = (("q", writes("heads")), ("k", writes("kv_heads")), ("v", writes("kv_heads")))
INPUTS = (("gate", writes("ffn")), ("fc1", writes("ffn")))  # the first one goes through the activation
SPECIAL = ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")

TABLE: Table = {
    **embedding("embeddings.tok_embeddings", "vocab"),
    **norm("embeddings.norm"),
    **norm(L + "attn_norm"),
    L + "attn.Wqkv.weight": fused(0, "blocks", *(Component(kind, (axis, FROM_RESIDUAL)) for kind, axis in QKV)),
    L + "attn.Wqkv.bias": fused(0, "blocks", *(Component(kind, (axis,)) for kind, axis in QKV)),
    **linear(L + "attn.Wo", "o", RESIDUAL, reads("heads")),
    **norm(L + "mlp_norm"),
    L + "mlp.Wi.weight": fused(0, "blocks", *(Component(kind, (axis, FROM_RESIDUAL)) for kind, axis in INPUTS)),
    L + "mlp.Wi.bias": fused(0, "blocks", *(Component(kind, (axis,)) for kind, axis in INPUTS)),
    **linear(L + "mlp.Wo", "fc2", RESIDUAL, reads("ffn")),
    **norm("final_norm"),
    **linear("head.dense", "head", RESIDUAL, FROM_RESIDUAL),
    **norm("head.norm"),
    **readout("decoder", "vocab"),
    **readout("classifier", "class"),
}


class ModernBert(Family):
    model_type = "modernbert"
    stock = "ModernBert"
    pretraining = "ModernBertForMaskedLM"
    objective = "mlm"
    norm_eps = "norm_eps"
    embedding_norm = True
    rotary = even_heads = True
    ffn_matrices = 3
    head_matrices = 1
    biases = ()
    positions = None
    norms = 2
    stand_ins = {f"{L}attn_norm.{end}": f"embeddings.norm.{end}" for end in ("weight", "bias")}
    head_adds = "bias"
    dropouts = ("attention_dropout", "embedding_dropout", "mlp_dropout", "classifier_dropout")
    published = ("ModernBERT",)
    example_settings = {"local_attention": 6}

    def table(self, config: Any) -> Table:
        return TABLE

    def defaults(self, spec: ModelSpec) -> dict[str, Any]:
        """Return no special tokens for a smaller vocabulary: the stock ones belong to ModernBERT's own."""
        return {} if spec.vocab > 50283 else dict.fromkeys(SPECIAL)

    def pre_norm(self, config: Any) -> bool:
        return True

    def output_norm(self, config: Any) -> str | None:
        return "head.norm"

    def head(self, model: Any, hidden: Tensor) -> Tensor:
        return model.decoder(model.head(hidden))


FAMILY = ModernBert()
