"""Gemma 3, its text model (Kamath et al., 2025; arXiv 2503.19786): Gemma 2 with norms of queries and keys over each head.

No soft caps by default. Layers with a sliding window and those without have rotary frequencies of their own.
"""

from typing import Any

from growbench.families._roles import Table, head_norms
from growbench.families.gemma2 import TABLE, Gemma2
from growbench.families.llama import L


class Gemma3Text(Gemma2):
    model_type = "gemma3_text"
    stock = "Gemma3Text"
    pretraining = "Gemma3ForCausalLM"
    head_norms = "each"
    published = ("Gemma 3",)
    example_settings = {"sliding_window": 5, "sliding_window_pattern": 2}

    def table(self, config: Any) -> Table:
        return {**TABLE, **head_norms(L + "self_attn.q_norm", L + "self_attn.k_norm", each=True)}


FAMILY = Gemma3Text()
