"""Gemma 2 (Rivière et al., 2024; arXiv 2408.00118): Gemma with norms before and after each branch, and soft caps.

Block: x = x + LN_2(attention(LN_1(x))), x = x + LN_4(mlp(LN_3(x))). Scores of attention and logits are capped, c tanh(y / c).
Queries are scaled by a number of the config (`query_pre_attn_scalar`), which growing does not change: heads keep their size.
Layers look at a sliding window and at everything in turn (`layer_types`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from growbench.families._roles import Table, norm
from growbench.families.gemma import Gemma
from growbench.families.llama import TABLE as LLAMA
from growbench.families.llama import L, Llama
from growbench.spec import ModelSpec

if TYPE_CHECKING:
    from torch import Tensor

TABLE: Table = {
    **LLAMA,
    **norm(L + "post_attention_layernorm", "norm_branch"),
    **norm(L + "pre_feedforward_layernorm"),
    **norm(L + "post_feedforward_layernorm", "norm_branch"),
}


class Gemma2(Gemma):
    model_type = "gemma2"
    stock = "Gemma2"
    pretraining = "Gemma2ForCausalLM"
    layer_norms = 4
    branch_norms = True
    published = ("Gemma 2",)
    example_settings = {"sliding_window": 5}

    check = Llama.check

    def table(self, config: Any) -> Table:
        return TABLE

    def defaults(self, spec: ModelSpec) -> dict[str, Any]:
        """Return the usual scale of queries for heads of this size; the stock one is for heads of 256."""
        return {"query_pre_attn_scalar": spec.head_size}

    def head(self, model: Any, hidden: Tensor) -> Tensor:
        logits, cap = super().head(model, hidden), model.config.final_logit_softcapping
        return logits if cap is None else (logits / cap).tanh() * cap


FAMILY = Gemma2()
