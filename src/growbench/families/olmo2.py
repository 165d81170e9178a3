"""OLMo 2 (OLMo Team, 2025; arXiv 2501.00656): Llama with norms after the branches, and of queries and keys over all heads.

Block: x = x + LN_1(attention(x)), x = x + LN_2(mlp(x)). Branches read the residual stream itself. A norm over all heads
keeps its mean square only if every head has as many copies.
"""

from typing import Any

from growbench.families._family import Family, no_special_tokens
from growbench.families._roles import Table, head_norms, norm
from growbench.families.llama import TABLE, L, Llama
from growbench.spec import ModelSpec

BRANCHES: Table = {
    **norm(L + "post_attention_layernorm", "norm_branch"),
    **norm(L + "post_feedforward_layernorm", "norm_branch"),
    **head_norms(L + "self_attn.q_norm", L + "self_attn.k_norm", each=False),
}


class Olmo2(Llama):
    model_type = "olmo2"
    stock = "Olmo2"
    pretraining = "Olmo2ForCausalLM"
    spans = False
    branch_norms = True
    head_norms = "all"
    published = ("OLMo 2",)

    check = Family.check

    def table(self, config: Any) -> Table:
        return {**TABLE, **BRANCHES}

    def defaults(self, spec: ModelSpec) -> dict[str, Any]:
        return no_special_tokens(spec, 50_304)


FAMILY = Olmo2()
