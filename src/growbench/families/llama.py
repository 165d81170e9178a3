"""Llama (Touvron et al., 2023; arXiv 2302.13971, 2307.09288): pre-RMSNorm decoder, rotary positions, gated FFN.

FFN: down(silu(gate(x)) * up(x)). There may be fewer key/value heads than heads (Ainslie et al., 2023; arXiv
2305.13245).
"""

from typing import Any, Literal

from growbench.errors import GrowBenchError
from growbench.families._family import SIZES, Bias, Family
from growbench.families._roles import Table, embedding, linear, norm, readout, reads, writes
from growbench.spec import ModelSpec, divisors

L = "layers.{l}."
RESIDUAL, FROM_RESIDUAL = writes("residual"), reads("residual")

TABLE: Table = {
    **embedding("embed_tokens", "vocab"),
    **norm(L + "input_layernorm"),
    **linear(L + "self_attn.q_proj", "q", writes("heads"), FROM_RESIDUAL),
    **linear(L + "self_attn.k_proj", "k", writes("kv_heads"), FROM_RESIDUAL),
    **linear(L + "self_attn.v_proj", "v", writes("kv_heads"), FROM_RESIDUAL),
    **linear(L + "self_attn.o_proj", "o", RESIDUAL, reads("heads")),
    **norm(L + "post_attention_layernorm"),
    **linear(L + "mlp.gate_proj", "gate", writes("ffn"), FROM_RESIDUAL),
    **linear(L + "mlp.up_proj", "fc1", writes("ffn"), FROM_RESIDUAL),
    **linear(L + "mlp.down_proj", "fc2", RESIDUAL, reads("ffn")),
    **norm("norm"),
    **readout("lm_head", "vocab"),
    **readout("score", "class"),
    **readout("qa_outputs", "class"),
}


class Llama(Family):
    model_type = "llama"
    stock = "Llama"
    pretraining = "LlamaForCausalLM"
    objective = "clm"
    norm = "rms"
    norm_eps = "rms_norm_eps"
    rotary = even_heads = True
    ffn_matrices = 3
    biases: tuple[Bias, ...] = ()
    positions = None
    head_adds: Literal["bias", "matrix", "nothing"] = "matrix"
    dropouts: tuple[str, ...] = ("attention_dropout",)
    sizes = {**SIZES, "kv_heads": "num_key_value_heads", "head_size": "head_dim"}
    published: tuple[str, ...] = ("Llama", "LLaMA")
    example = {"hidden": 24, "heads": 6, "kv_heads": 2, "head_size": 10, "ffn": 44}

    def table(self, config: Any) -> Table:
        return TABLE

    def check(self, spec: ModelSpec) -> None:
        if spec.hidden % spec.heads:
            raise GrowBenchError(
                f"model.heads: {spec.heads} does not divide hidden {spec.hidden}, as the stock config of "
                f"{self.name} requires; use one of {divisors(spec.hidden)}"
            )

    def pre_norm(self, config: Any) -> bool:
        return True

    def output_norm(self, config: Any) -> str | None:
        return "model.norm"


FAMILY = Llama()
