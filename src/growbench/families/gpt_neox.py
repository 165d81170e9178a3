"""GPT-NeoX (Black et al., 2022; arXiv 2204.06745), also Pythia: pre-LN decoder, partial rotary positions.

Block: x = x + attention(LN_1(x)) + mlp(LN_2(x)), or one after another without `use_parallel_residual`.
query_key_value [3 x hidden, hidden] stores q, k and v of one head, then of the next.
"""

from typing import Any

from growbench.families._family import Family
from growbench.families._roles import Component, Table, embedding, fused, linear, norm, readout, reads, writes

L = "layers.{l}."
RESIDUAL, FROM_RESIDUAL = writes("residual"), reads("residual")
QKV = (("q", writes("heads")), ("k", writes("kv_heads")), ("v", writes("kv_heads")))

TABLE: Table = {
    **embedding("embed_in", "vocab"),
    **norm(L + "input_layernorm"),
    L + "attention.query_key_value.weight": fused(
        0, "heads", *(Component(kind, (a, FROM_RESIDUAL)) for kind, a in QKV)
    ),
    L + "attention.query_key_value.bias": fused(0, "heads", *(Component(kind, (a,)) for kind, a in QKV)),
    **linear(L + "attention.dense", "o", RESIDUAL, reads("heads")),
    **norm(L + "post_attention_layernorm"),
    **linear(L + "mlp.dense_h_to_4h", "fc1", writes("ffn"), FROM_RESIDUAL),
    **linear(L + "mlp.dense_4h_to_h", "fc2", RESIDUAL, reads("ffn")),
    **norm("final_layer_norm"),
    **readout("lm_head", "vocab"),
    **readout("embed_out", "vocab"),
    **readout("score", "class"),
    **readout("classifier", "class"),
    **readout("qa_outputs", "class"),
}


class GptNeoX(Family):
    model_type = "gpt_neox"
    stock = "GPTNeoX"
    pretraining = "GPTNeoXForCausalLM"
    objective = "clm"
    rotary = True
    positions = None
    head_adds = "matrix"
    dropouts = ("hidden_dropout", "attention_dropout")
    published = ("GPT-NeoX", "Pythia")
    example = {"hidden": 48, "ffn": 50}

    def table(self, config: Any) -> Table:
        return TABLE

    def pre_norm(self, config: Any) -> bool:
        return True

    def output_norm(self, config: Any) -> str | None:
        return "gpt_neox.final_layer_norm"


FAMILY = GptNeoX()
