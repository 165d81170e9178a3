"""StarCoder2 (Lozhkov et al., 2024; arXiv 2402.19173): pre-LN decoder with LayerNorm, rotary positions and grouped heads.

Its FFN has no gate, its linear layers have biases, its head is tied, and attention may look at a sliding window.
"""

from typing import Any

from growbench.families._family import SIZES, Family, no_special_tokens
from growbench.families._roles import Table, linear, reads, writes
from growbench.families.llama import TABLE, L
from growbench.spec import ModelSpec

RESIDUAL, FROM_RESIDUAL = writes("residual"), reads("residual")
FFN: Table = {
    **linear(L + "mlp.c_fc", "fc1", writes("ffn"), FROM_RESIDUAL),
    **linear(L + "mlp.c_proj", "fc2", RESIDUAL, reads("ffn")),
}


class Starcoder2(Family):
    model_type = "starcoder2"
    stock = "Starcoder2"
    pretraining = "Starcoder2ForCausalLM"
    objective = "clm"
    spans = False
    norm_eps = "norm_epsilon"
    rotary = even_heads = True
    positions = None
    dropouts = ("attention_dropout", "residual_dropout", "embedding_dropout")
    sizes = {**SIZES, "kv_heads": "num_key_value_heads", "head_size": "head_dim"}
    published = ("StarCoder2",)
    example = {"hidden": 24, "heads": 6, "kv_heads": 2, "head_size": 10, "ffn": 44}
    example_settings = {"sliding_window": 5}

    def table(self, config: Any) -> Table:
        return {**TABLE, **FFN}

    def defaults(self, spec: ModelSpec) -> dict[str, Any]:
        return no_special_tokens(spec, 49_152)

    def pre_norm(self, config: Any) -> bool:
        return True

    def output_norm(self, config: Any) -> str | None:
        return "model.norm"


FAMILY = Starcoder2()
