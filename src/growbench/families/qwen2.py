"""Qwen2 (Yang et al., 2024; arXiv 2407.10671), also Qwen2.5: Llama with biases on queries, keys and values."""

from growbench.families._family import Family
from growbench.families.llama import Llama
from growbench.spec import ModelSpec


class Qwen2(Llama):
    model_type = "qwen2"
    stock = "Qwen2"
    pretraining = "Qwen2ForCausalLM"
    biases = ("qkv",)
    published = ("Qwen",)

    def check(self, spec: ModelSpec) -> None:
        Family.check(self, spec)


FAMILY = Qwen2()
