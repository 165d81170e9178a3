"""Mistral (Jiang et al., 2023; arXiv 2310.06825): Llama with attention to a sliding window."""

from growbench.families._family import Family
from growbench.families.llama import Llama
from growbench.spec import ModelSpec


class Mistral(Llama):
    model_type = "mistral"
    stock = "Mistral"
    pretraining = "MistralForCausalLM"
    published = ("Mistral",)
    example_settings = {"sliding_window": 5}

    def check(self, spec: ModelSpec) -> None:
        Family.check(self, spec)


FAMILY = Mistral()
