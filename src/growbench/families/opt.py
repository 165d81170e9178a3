"""OPT (Zhang et al., 2022; arXiv 2205.01068): decoder, pre-LN or (350m) post-LN, absolute positions, tied head.

In 350m the token table has `word_embed_proj_dim` coordinates, which no map widens: project_in maps them to the
residual, project_out maps the residual back. The position table has two more rows than there are positions. A tied
head over the residual can be corrected only by a norm with a gain. Without one (`_remove_final_layer_norm`,
`layer_norm_elementwise_affine: false`) output_norm is None and no widening is exact.
"""

from collections.abc import Mapping
from typing import Any

from growbench.families._family import SIZES, Family
from growbench.families._roles import Axis, Table, embedding, fixed, linear, norm, reads, role, writes
from growbench.spec import ModelSpec

L = "layers.{l}."
RESIDUAL, FROM_RESIDUAL = writes("residual"), reads("residual")
PROJECTION = fixed("projection")

BODY: Table = {
    **embedding("embed_positions", "position"),
    **linear(L + "self_attn.q_proj", "q", writes("heads"), FROM_RESIDUAL),
    **linear(L + "self_attn.k_proj", "k", writes("kv_heads"), FROM_RESIDUAL),
    **linear(L + "self_attn.v_proj", "v", writes("kv_heads"), FROM_RESIDUAL),
    **linear(L + "self_attn.out_proj", "o", RESIDUAL, reads("heads")),
    **norm(L + "self_attn_layer_norm"),
    **linear(L + "fc1", "fc1", writes("ffn"), FROM_RESIDUAL),
    **linear(L + "fc2", "fc2", RESIDUAL, reads("ffn")),
    **norm("decoder.final_layer_norm"),
    "project_in.weight": role("embedding", RESIDUAL, PROJECTION),
    "project_out.weight": role("head", PROJECTION, FROM_RESIDUAL),
}


def tables(written: Axis, read: Axis) -> Table:
    """Return the roles of the token table and of the heads: weight [rows, hidden or word_embed_proj_dim]."""
    return {
        "embed_tokens.weight": role("embedding", fixed("vocab"), written),
        **linear("lm_head", "head", fixed("vocab"), read),
        **linear("score", "head", fixed("class"), read),
        **linear("qa_outputs", "head", fixed("class"), read),
    }


class Opt(Family):
    model_type = "opt"
    stock = "OPT"
    pretraining = "OPTForCausalLM"
    objective = "clm"
    norm_eps = None
    positions = 2
    dropouts = ("dropout", "attention_dropout")
    sizes = {**SIZES, "ffn": "ffn_dim"}
    published = ("OPT",)

    def table(self, config: Any) -> Table:
        tokens = tables(PROJECTION, PROJECTION) if self.projected(config) else tables(RESIDUAL, FROM_RESIDUAL)
        last = norm(L + "final_layer_norm", "norm" if self.pre_norm(config) else "norm_out")
        return {**last, **tokens, **BODY}

    def config(self, spec: ModelSpec, base: Any = None, **settings: Any) -> Any:
        if "initializer_range" in settings:
            settings["init_std"] = settings.pop("initializer_range")
        return super().config(spec, base, **settings)

    def follow(self, spec: ModelSpec, start: Mapping[str, Any]) -> dict[str, Any]:
        same = start.get("word_embed_proj_dim") in (None, start.get("hidden_size"))
        return {"word_embed_proj_dim": spec.hidden} if same else {}

    def projected(self, config: Any) -> bool:
        """Whether the token table is over coordinates other than the residual's."""
        return config.word_embed_proj_dim != config.hidden_size

    def pre_norm(self, config: Any) -> bool:
        return config is None or bool(config.do_layer_norm_before)

    def output_norm(self, config: Any) -> str | None:
        if not config.layer_norm_elementwise_affine:
            return None
        if not self.pre_norm(config):
            return f"layers.{config.num_hidden_layers - 1}.final_layer_norm"
        return None if config._remove_final_layer_norm else "decoder.final_layer_norm"

    def init_std(self, config: Any) -> float:
        return float(config.init_std)

    def tied(self, config: Any, model_class: Any = None) -> bool:
        return super().tied(config, model_class) and not self.projected(config)


FAMILY = Opt()
