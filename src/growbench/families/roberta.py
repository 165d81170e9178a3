"""RoBERTa (Liu et al., 2019; arXiv 1907.11692): BERT's encoder; positions are numbered from the padding id + 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from growbench.families import bert
from growbench.families._family import SIZES, Family
from growbench.families._roles import Table, fixed, linear, norm, readout, reads, role, writes
from growbench.spec import ModelSpec

if TYPE_CHECKING:
    from torch import Tensor

TABLE: Table = {
    **bert.BODY,
    **linear("lm_head.dense", "head", writes("residual"), reads("residual")),
    **norm("lm_head.layer_norm"),
    **readout("lm_head.decoder", "vocab"),
    "lm_head.bias": role("head", fixed("vocab")),
    **linear("classifier.dense", "head", writes("residual"), reads("residual")),
    **readout("classifier.out_proj", "class"),
}


class Roberta(Family):
    model_type = "roberta"
    stock = "Roberta"
    pretraining = "RobertaForMaskedLM"
    objective = "mlm"
    head_matrices = 1
    positions = types = norms = 2
    head_adds = "bias"
    sizes = {size: key for size, key in SIZES.items() if size != "max_length"}
    published = ("RoBERTa",)
    example = {"hidden": 24, "ffn": 40}

    def table(self, config: Any) -> Table:
        return TABLE

    def follow(self, spec: ModelSpec, start: Mapping[str, Any]) -> dict[str, Any]:
        return {"max_position_embeddings": spec.max_length + start.get("pad_token_id", 1) + 1}

    def derived(self, config: Any) -> dict[str, int]:
        return {"max_length": config.max_position_embeddings - config.pad_token_id - 1}

    def pre_norm(self, config: Any) -> bool:
        return False

    def output_norm(self, config: Any) -> str | None:
        return "lm_head.layer_norm"

    def head(self, model: Any, hidden: Tensor) -> Tensor:
        return model.lm_head(hidden)


FAMILY = Roberta()
