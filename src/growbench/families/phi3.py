"""Phi-3 (Abdin et al., 2024; arXiv 2404.14219), also Phi-4: Llama with fused matrices.

qkv_proj stores q, k and v one after another, gate_up_proj the gate and fc1. Long positions (`longrope`) have one factor for
each pair of coordinates of a head.
"""

from collections.abc import Mapping
from typing import Any

from growbench.errors import GrowBenchError
from growbench.families._family import Family, no_special_tokens
from growbench.families._roles import Component, Table, fused, reads, writes
from growbench.families.llama import TABLE, L, Llama
from growbench.spec import ModelSpec

READ = reads("residual")
QKV = (("q", writes("heads")), ("k", writes("kv_heads")), ("v", writes("kv_heads")))
GATED = (("gate", writes("ffn")), ("fc1", writes("ffn")))
FUSED: Table = {
    L + "self_attn.qkv_proj.weight": fused(0, "blocks", *(Component(kind, (axis, READ)) for kind, axis in QKV)),
    L + "mlp.gate_up_proj.weight": fused(0, "blocks", *(Component(kind, (axis, READ)) for kind, axis in GATED)),
}


class Phi3(Llama):
    model_type = "phi3"
    stock = "Phi3"
    pretraining = "Phi3ForCausalLM"
    spans = False
    dropouts = ("resid_pdrop", "embd_pdrop", "attention_dropout")
    published = ("Phi-3",)

    def table(self, config: Any) -> Table:
        return {**TABLE, **FUSED}

    def check(self, spec: ModelSpec) -> None:
        Family.check(self, spec)

    def defaults(self, spec: ModelSpec) -> dict[str, Any]:
        return no_special_tokens(spec, 32_064)

    def follow(self, spec: ModelSpec, start: Mapping[str, Any]) -> dict[str, Any]:
        positions = start.get("rope_parameters") or {}
        size, stock = spec.head_size, spec.hidden // spec.heads  # the stock config's check divides
        if positions.get("rope_type") == "longrope" and size != stock:
            raise GrowBenchError(
                f"target.heads: {spec.heads} heads of size {size} over hidden {spec.hidden}, but {self.name} with long positions "
                f"needs heads x head_size = hidden; use hidden {spec.heads * size}"
            )
        return super().follow(spec, start)


FAMILY = Phi3()
