"""BERT (Devlin et al., 2019): post-LN encoder, absolute positions, MLM head with a transform and a tied decoder."""

from typing import Any

from torch import Tensor

from growbench.families._family import Family
from growbench.families._roles import fixed, reads, role, scales, writes
from growbench.spec import ModelSpec

LAYER = "encoder.layer.{l}."
_residual = writes("residual")
_norm = role("norm", scales("residual"))

TABLE = {
    "embeddings.word_embeddings.weight": role("embedding", fixed("vocab"), _residual),
    "embeddings.position_embeddings.weight": role("embedding", fixed("position"), _residual),
    "embeddings.token_type_embeddings.weight": role("embedding", fixed("type"), _residual),
    "embeddings.LayerNorm.weight": _norm,
    "embeddings.LayerNorm.bias": _norm,
    LAYER + "attention.self.query.weight": role("q", writes("heads"), reads("residual")),
    LAYER + "attention.self.query.bias": role("q", writes("heads")),
    LAYER + "attention.self.key.weight": role("k", writes("kv_heads"), reads("residual")),
    LAYER + "attention.self.key.bias": role("k", writes("kv_heads")),
    LAYER + "attention.self.value.weight": role("v", writes("kv_heads"), reads("residual")),
    LAYER + "attention.self.value.bias": role("v", writes("kv_heads")),
    LAYER + "attention.output.dense.weight": role("o", _residual, reads("heads")),
    LAYER + "attention.output.dense.bias": role("o", _residual),
    LAYER + "attention.output.LayerNorm.weight": _norm,
    LAYER + "attention.output.LayerNorm.bias": _norm,
    LAYER + "intermediate.dense.weight": role("fc1", writes("ffn"), reads("residual")),
    LAYER + "intermediate.dense.bias": role("fc1", writes("ffn")),
    LAYER + "output.dense.weight": role("fc2", _residual, reads("ffn")),
    LAYER + "output.dense.bias": role("fc2", _residual),
    LAYER + "output.LayerNorm.weight": _norm,
    LAYER + "output.LayerNorm.bias": _norm,
    "pooler.dense.weight": role("head", _residual, reads("residual")),
    "pooler.dense.bias": role("head", _residual),
    "cls.predictions.transform.dense.weight": role("head", _residual, reads("residual")),
    "cls.predictions.transform.dense.bias": role("head", _residual),
    "cls.predictions.transform.LayerNorm.weight": _norm,
    "cls.predictions.transform.LayerNorm.bias": _norm,
    "cls.predictions.decoder.weight": role("head", fixed("vocab"), reads("residual")),
    "cls.predictions.decoder.bias": role("head", fixed("vocab")),
    "cls.predictions.bias": role("head", fixed("vocab")),
    "classifier.weight": role("head", fixed("class"), reads("residual")),
    "classifier.bias": role("head", fixed("class")),
}


class Bert(Family):
    name = "bert"
    objective = "mlm"
    head_matrices = 1
    output_norm = "cls.predictions.transform.LayerNorm"
    table = TABLE

    def config(self, spec: ModelSpec, base: Any = None, **settings: Any) -> Any:
        from transformers import BertConfig

        sizes = {
            "num_hidden_layers": spec.layers,
            "hidden_size": spec.hidden,
            "num_attention_heads": spec.heads,
            "intermediate_size": spec.ffn,
            "vocab_size": spec.vocab,
            "max_position_embeddings": spec.max_length,
        }
        return BertConfig(**{**(base.to_dict() if base else {}), **sizes, **settings})

    def spec(self, config: Any) -> ModelSpec:
        return ModelSpec(
            family=self.name,
            layers=config.num_hidden_layers,
            hidden=config.hidden_size,
            heads=config.num_attention_heads,
            ffn=config.intermediate_size,
            vocab=config.vocab_size,
            max_length=config.max_position_embeddings,
        )

    def model_class(self) -> Any:
        from transformers import BertForMaskedLM

        return BertForMaskedLM

    def encode(self, model: Any, ids: Tensor) -> Tensor:
        return model.bert(input_ids=ids).last_hidden_state

    def head(self, model: Any, hidden: Tensor) -> Tensor:
        return model.cls(hidden)


FAMILY = Bert()
