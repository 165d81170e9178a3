"""GPT-2 (Radford et al., 2019): pre-LN decoder, absolute positions, tied head; matrices are stored [in, out].

Block: x = x + c_proj(attention(c_attn(LN_1(x)))), x = x + c_proj(gelu(c_fc(LN_2(x)))). c_attn [hidden, 3 x hidden]
stores q, k and v one after another.
"""

from collections.abc import Mapping
from typing import Any

from growbench.errors import GrowBenchError
from growbench.families._family import Family
from growbench.families._roles import Component, Table, conv1d, embedding, fused, norm, readout, reads, writes
from growbench.spec import ModelSpec

L = "h.{l}."
RESIDUAL, FROM_RESIDUAL = writes("residual"), reads("residual")
QKV = (("q", writes("heads")), ("k", writes("kv_heads")), ("v", writes("kv_heads")))

TABLE: Table = {
    **embedding("wte", "vocab"),
    **embedding("wpe", "position"),
    **norm(L + "ln_1"),
    L + "attn.c_attn.weight": fused(1, "blocks", *(Component(kind, (FROM_RESIDUAL, axis)) for kind, axis in QKV)),
    L + "attn.c_attn.bias": fused(0, "blocks", *(Component(kind, (axis,)) for kind, axis in QKV)),
    **conv1d(L + "attn.c_proj", "o", reads("heads"), RESIDUAL),
    **norm(L + "ln_2"),
    **conv1d(L + "mlp.c_fc", "fc1", FROM_RESIDUAL, writes("ffn")),
    **conv1d(L + "mlp.c_proj", "fc2", reads("ffn"), RESIDUAL),
    **norm("ln_f"),
    **readout("lm_head", "vocab"),
    **readout("score", "class"),
    **readout("classifier", "class"),
    **readout("qa_outputs", "class"),
}


class Gpt2(Family):
    model_type = "gpt2"
    stock = "GPT2"
    pretraining = "GPT2LMHeadModel"
    objective = "clm"
    norm_eps = "layer_norm_epsilon"
    dropouts = ("resid_pdrop", "embd_pdrop", "attn_pdrop")
    sizes = {
        "layers": "n_layer",
        "hidden": "n_embd",
        "heads": "n_head",
        "ffn": "n_inner",
        "vocab": "vocab_size",
        "max_length": "n_positions",
    }
    published = ("GPT",)
    example = {"layers": 3, "ffn": 70}

    def table(self, config: Any) -> Table:
        return TABLE

    def defaults(self, spec: ModelSpec) -> dict[str, Any]:
        """Return no special tokens for a smaller vocabulary: the stock ones belong to GPT-2's own."""
        return {} if spec.vocab > 50256 else {"bos_token_id": None, "eos_token_id": None}

    def derived(self, config: Any) -> dict[str, int]:
        return {"ffn": config.n_inner or 4 * config.n_embd}

    def follow(self, spec: ModelSpec, start: Mapping[str, Any]) -> dict[str, Any]:
        if start.get("scale_attn_by_inverse_layer_idx") and start.get("n_layer", spec.layers) != spec.layers:
            raise GrowBenchError(
                f"target.layers: {spec.layers} moves layers, but their number scales their attention "
                f"(scale_attn_by_inverse_layer_idx); keep {start['n_layer']}"
            )
        wider = start.get("n_embd", spec.hidden) // start.get("n_head", spec.heads) != spec.head_size
        if wider and not start.get("scale_attn_weights", True):
            raise GrowBenchError(
                f"target.heads: {spec.heads} heads are wider, but attention scores are not divided by their size "
                "(scale_attn_weights is false); keep the size of a head"
            )
        return {}

    def pre_norm(self, config: Any) -> bool:
        return True

    def output_norm(self, config: Any) -> str | None:
        return "transformer.ln_f"


FAMILY = Gpt2()
