"""SmolLM3 (Hugging Face, 2025): Llama with a tied head, and layers without rotary positions (`no_rope_layers`)."""

from typing import Any

from growbench.families._family import Family, no_special_tokens
from growbench.families.llama import Llama
from growbench.spec import ModelSpec


class SmolLM3(Llama):
    model_type = "smollm3"
    stock = "SmolLM3"
    pretraining = "SmolLM3ForCausalLM"
    head_adds = "nothing"
    per_layer = ("layer_types", "no_rope_layers")
    published = ("SmolLM3",)
    example_settings = {"no_rope_layer_interval": 2}

    check = Family.check

    def defaults(self, spec: ModelSpec) -> dict[str, Any]:
        return no_special_tokens(spec, 128_256)


FAMILY = SmolLM3()
