"""DeiT (Touvron et al., ICML 2021; arXiv 2012.12877): ViT with a distillation token behind the class token.

A spec's max_length is the number of patches + 2. The pre-training head classifies the class token's last state; the stock
class with a teacher has a second head, over the distillation token's. DeiT without that token is a ViT, as in published
results.
"""

from typing import Any

from growbench.families import vit
from growbench.families._roles import Table, readout, role


class Deit(vit.Vit):
    model_type = "deit"
    stock = "DeiT"
    pretraining = "DeiTForImageClassification"
    tokens = 2
    published = ()
    example = {**vit.Vit.example, "max_length": 11}

    def table(self, config: Any) -> Table:
        return {
            **super().table(config),
            "embeddings.distillation_token": role("embedding", vit.ONE, vit.ONE, vit.RESIDUAL),
            **readout("cls_classifier", "class"),
            **readout("distillation_classifier", "class"),
        }

    def output_norm(self, config: Any) -> str | None:
        return "deit.layernorm"


FAMILY = Deit()
