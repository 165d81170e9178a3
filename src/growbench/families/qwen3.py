"""Qwen3 (Qwen Team, 2025; arXiv 2505.09388): Llama with norms of queries and keys over each head.

These norms share `rms_norm_eps` with the others, which can therefore not be scaled.
"""

from typing import Any

from growbench.families._family import Family
from growbench.families._roles import Table, head_norms
from growbench.families.llama import TABLE, L, Llama


class Qwen3(Llama):
    model_type = "qwen3"
    stock = "Qwen3"
    pretraining = "Qwen3ForCausalLM"
    head_norms = "each"
    published = ("Qwen3",)

    check = Family.check

    def table(self, config: Any) -> Table:
        return {**TABLE, **head_norms(L + "self_attn.q_norm", L + "self_attn.k_norm", each=True)}


FAMILY = Qwen3()
