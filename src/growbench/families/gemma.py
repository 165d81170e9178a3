"""Gemma (Mesnard et al., 2024; arXiv 2403.08295): Llama with a tied head, gains of 1 + w, and scaled embeddings.

Token embeddings are multiplied by the root of the hidden size, which a wider target has more of: the token table is
divided by the ratio of the roots, and the norm before a tied head multiplied by it (docs/METHODS.md).
"""

from growbench.families._family import Family
from growbench.families.llama import Llama
from growbench.spec import ModelSpec


class Gemma(Llama):
    model_type = "gemma"
    stock = "Gemma"
    pretraining = "GemmaForCausalLM"
    spans = False
    norm_offset = 1.0
    head_adds = "nothing"
    published = ("Gemma",)

    check = Family.check

    def embedding_scale(self, spec: ModelSpec) -> float:
        return float(spec.hidden**0.5)


FAMILY = Gemma()
